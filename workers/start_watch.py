"""What `driftline watch` runs: `memory.start` before anything else is loaded, then the watch."""

from driftline.adapters import memory


def main() -> None:
    """Run until told to stop."""
    memory.start()
    from workers import watch

    watch.main()


if __name__ == "__main__":
    main()
