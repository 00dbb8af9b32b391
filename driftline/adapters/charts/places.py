"""Where what is known of one repository lies on this disk, and whose turn it is to ask its host."""

import fcntl
import hmac
import os
import secrets
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from driftline.adapters.once import made_once
from driftline.model.access import RepositoryAccess


class Place:
    """The directory of one repository, as seen with one set of credentials."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def held(self, name: str = "lock") -> Iterator[None]:
        """Be the only one, of all threads and processes of this machine, that asks this repository's host.

        Whoever asks for something else at the same time does it under another `name`.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            # Unlock before closing: a child that was forked meanwhile has the same open file and would keep the lock.
            fcntl.flock(handle, fcntl.LOCK_UN)
            os.close(handle)

    @contextmanager
    def pulling(self, digest: str) -> Iterator[None]:
        """Be the only one that pulls an archive; others are pulled meanwhile, up to sixteen at once."""
        with self.held(f"pulling-{zlib.crc32(digest.encode()) % 16}"):
            yield

    def write(self, name: str, content: bytes) -> None:
        """Replace a file, whole or not at all."""
        draft = self.directory / f".{name}.{os.getpid()}.{secrets.token_hex(4)}"
        draft.write_bytes(content)
        os.replace(draft, self.directory / name)

    def read(self, name: str) -> bytes | None:
        """The content of a file, None if there is none."""
        try:
            return (self.directory / name).read_bytes()
        except FileNotFoundError:
            return None

    def touch(self) -> None:
        """Note that this repository was used."""
        os.utime(self.directory)


class Places:
    """The directories of all repositories below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._key = made_once(root / "key", lambda: secrets.token_bytes(32))

    def of(self, access: RepositoryAccess, url: str) -> Place:
        """The place for an access: one with other credentials may see another repository under the same URL."""
        login = (access.username, access.password, access.bearer_token, access.client_key)
        identity = access.identity or "\0".join(login)
        # Keyed, so that a name tells nothing about a weak password.
        return Place(self.root / hmac.digest(self._key, f"{url}\0{identity}".encode(), "sha256").hex()[:32])

    def forget_unused(self, seconds: float) -> int:
        """Remove what nobody used for so long; returns how many repositories that were."""
        removed = 0
        for directory in [path for path in self.root.iterdir() if path.is_dir()]:
            if directory.stat().st_mtime < time.time() - seconds:
                for file in directory.iterdir():
                    file.unlink(missing_ok=True)
                try:
                    directory.rmdir()
                    removed += 1
                except OSError:
                    pass  # it is just being used again
        return removed
