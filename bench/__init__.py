"""The speed claims, each a command: `python -m bench.run`. Never part of the tests."""
