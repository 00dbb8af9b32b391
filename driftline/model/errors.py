"""The two kinds of failure everyone knows: try again later, or a person must change something."""

from datetime import timedelta


class Failure(Exception):
    """Base of both. `str()` is the text for people: the object or file first, then what failed and what helps."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Temporary(Failure):
    """Worth trying again. `delay` is how long the other side asked us to wait (10 s when it did not say)."""

    def __init__(self, message: str, delay: timedelta = timedelta(seconds=10)) -> None:
        super().__init__(message)
        self.delay = delay


class Permanent(Failure):
    """Trying again changes nothing until a person changes Git, the cluster or a setting."""
