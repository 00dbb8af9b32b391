"""The demo's mail server, for tests."""

from deploy.demo.mailcatcher import Caught, Mailcatcher

__all__ = ["Caught", "Mailcatcher"]
