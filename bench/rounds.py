"""How often things are repeated: as often as a row says, or (`--quick`, while something is being made faster) once."""

_quick = False


def hurry() -> None:
    """From now on every row that takes long is measured once."""
    global _quick
    _quick = True


def rounds(wanted: int) -> range:
    """The repetitions of a row that wants so many."""
    return range(1 if _quick else wanted)
