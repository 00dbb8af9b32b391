"""A file that is made once: keys that several processes share. Called by adapters that need one on this machine."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def made_once(path: Path, make: Callable[[], bytes]) -> bytes:
    """The content of a file that whoever comes first makes, for this user's eyes only. All get the same content."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(make())
        try:
            os.link(draft, path)  # in one step: fails if another was first, whose content counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_bytes()
