"""A throw-away directory with a name that nobody can guess, which is gone afterwards whatever was done in it."""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from driftline.model.errors import Permanent


class Workspace:
    """Used as a context manager. Paths are relative to it, with slashes."""

    def __init__(self, parent: Path | None = None) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="driftline-render-", dir=parent))

    def __enter__(self) -> "Workspace":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        remove(self.root)

    def write(self, path: str, content: bytes) -> None:
        """Write one file; directories are made. Raises Permanent for a path that could lead elsewhere."""
        place = self._place(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)

    def write_all(self, base: str, files: Mapping[str, bytes], links: Mapping[str, str]) -> None:
        """Write files below `base`, and links there that lead to other paths below `base`."""
        made: set[str] = set()
        for path, content in files.items():
            place = self._place(f"{base}/{path}")
            directory = str(place.parent)
            if directory not in made:
                os.makedirs(directory, exist_ok=True)
                made.add(directory)
            with open(place, "wb") as file:
                file.write(content)
        for path, target in links.items():
            place = self._place(f"{base}/{path}")
            if place.exists() or place.is_symlink():
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(os.path.relpath(self._place(f"{base}/{target}"), place.parent))

    def _place(self, path: str) -> Path:
        """Trees may come from hostile repositories: a name in one can be `..`."""
        parts = [part for part in path.split("/") if part]
        if any(part in (".", "..") or "\0" in part for part in parts):
            raise Permanent(f"{path}: cannot be the path of a file")
        return self.root.joinpath(*parts)

    def shorten(self, text: str) -> str:
        """A tool's message with this directory taken out of its paths."""
        return text.replace(f"{self.root}/", "").replace(str(self.root), ".")


def remove(directory: Path) -> None:
    """Delete a directory, also one whose inside was made unreadable."""
    shutil.rmtree(directory, ignore_errors=True)
    if not directory.exists():
        return
    os.chmod(directory, 0o700)
    for place, names, _ in os.walk(directory):
        for name in names:
            inner = os.path.join(place, name)
            if not os.path.islink(inner):
                os.chmod(inner, 0o700)
    shutil.rmtree(directory, ignore_errors=True)
