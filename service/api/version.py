"""The version of this installation, as its package says."""

from importlib.metadata import PackageNotFoundError, version


def _installed() -> str:
    try:
        return version("driftline")
    except PackageNotFoundError:
        return "0"


VERSION = _installed()
