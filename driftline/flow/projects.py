"""The project that an application names. Only `default` exists so far; it allows everything."""

from driftline.access.projects import DEFAULT, Project
from driftline.model.errors import Permanent


def project_of(name: str) -> Project:
    """The project of a name. Raises Permanent for one that does not exist: an unknown project allows nothing."""
    if name in ("", "default"):
        return DEFAULT
    raise Permanent(f"project '{name}' does not exist; use 'default', the only project there is")
