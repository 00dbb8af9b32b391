"""One bare mirror on disk: where it is, who may write to it now, and what is remembered about it."""

import fcntl
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from driftline.adapters.git.refs import Refs

_STATE, _RUNNING = "driftline.json", "driftline.running"
_SURELY_DEAD = 3600.0


@dataclass(frozen=True)
class State:
    """What a mirror remembers beside git's own files. `url` is normalised and holds no credentials."""

    url: str = ""
    complete: bool = False
    """A first fetch has come to its end."""
    partial: bool = False
    """File contents are fetched when needed."""
    default_branch: str = ""


class Mirror:
    """The paths and the lock of one mirror."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self.git_dir = root / f"{name}.git"
        self.refs = Refs(self.git_dir)
        self._lock = root / f"{name}.lock"
        self._trash = root / "trash"

    @property
    def exists(self) -> bool:
        return (self.git_dir / "HEAD").is_file()

    @contextmanager
    def held(self, wait: bool = True) -> Iterator["Held | None"]:
        """Hold the mirror for writing; yields None at once if another does and `wait` is false.

        The kernel queues waiters and frees the lock when its holder dies, however it dies.
        """
        with _locked(self._lock, wait) as handle:
            yield None if handle is None else Held(self, handle)

    @contextmanager
    def packing(self, wait: bool = False) -> Iterator[bool]:
        """Hold the right to pack the mirror's objects, beside fetches; yields whether it was free.

        A lock of its own: packing a large repository takes minutes, and no push should wait for it.
        """
        with _locked(self._lock.with_suffix(".packing"), wait) as handle:
            yield handle is not None

    def state(self) -> State:
        try:
            return State(**json.loads((self.git_dir / _STATE).read_text()))
        except (OSError, ValueError, TypeError):
            return State()

    def last_used(self) -> float:
        """Unix time of the last use, 0 if there never was one."""
        try:
            return self._lock.stat().st_mtime
        except OSError:
            return 0.0

    def touch(self) -> None:
        """Remember that the mirror is in use."""
        try:
            os.utime(self._lock)
        except OSError:
            pass

    def size(self) -> int:
        """Bytes on disk."""
        total = 0
        for directory, _, files in os.walk(self.git_dir):
            for file in files:
                try:
                    total += os.lstat(os.path.join(directory, file)).st_blocks * 512
                except OSError:
                    continue  # Git removes its temporary files under our eyes.
        return total

    def packs_size(self) -> int:
        """Bytes of packs, those that are just arriving included: cheap enough to be asked several times a second."""
        try:
            with os.scandir(self.git_dir / "objects" / "pack") as entries:
                return sum(entry.stat().st_size for entry in entries)
        except OSError:
            return 0

    @property
    def running(self) -> Path:
        return self.git_dir / _RUNNING

    @property
    def trash(self) -> Path:
        return self._trash


@dataclass
class Held:
    """A mirror while its lock is held; everything that changes it starts here."""

    mirror: Mirror
    handle: int
    _noted: bool = field(default=False)

    def fetched_since(self, moment: float) -> frozenset[str]:
        """The refs of the last fetch if that began after `moment` (of `now`) and ended well."""
        try:
            note = json.loads(os.pread(self.handle, 1 << 20, 0) or b"{}")
            if note.get("boot") == _boot() and note.get("began", 0.0) > moment:
                return frozenset(note.get("refs", ()))
        except (ValueError, AttributeError, TypeError):
            pass
        return frozenset()

    def note_fetch(self, began: float, refs: Sequence[str]) -> None:
        """Tell those who wait for the lock what has just been fetched."""
        note = json.dumps({"boot": _boot(), "began": began, "refs": list(refs)}).encode()
        os.ftruncate(self.handle, 0)
        os.pwrite(self.handle, note, 0)

    def remember(self, **changes: object) -> State:
        """Change what the mirror remembers."""
        state = replace(self.mirror.state(), **changes)  # type: ignore[arg-type]
        path = self.mirror.git_dir / _STATE
        draft = path.with_suffix(".new")
        draft.write_text(json.dumps(asdict(state)))
        draft.rename(path)
        return state

    def note_running(self, group: int) -> None:
        """Write down which process group works here, so that whoever comes after our death can end it."""
        self.mirror.running.write_text(f"{group} {_started(group)}")
        self._noted = True

    def note_ended(self) -> None:
        if self._noted:
            self.mirror.running.unlink(missing_ok=True)
            self._noted = False

    def recover(self) -> bool:
        """If the last holder died at work, end what it started and remove its locks and half packs.

        Nobody else can be writing: we hold the lock. Returns whether there was anything to do.
        """
        try:
            group, _, started = self.mirror.running.read_text().partition(" ")
        except OSError:
            return False
        if group.isdecimal() and started and _started(int(group)) == started:
            try:
                os.killpg(int(group), signal.SIGKILL)
            except (ProcessLookupError, PermissionError):
                pass
        self.sweep(0.0)
        self.mirror.running.unlink(missing_ok=True)
        return True

    def sweep(self, older_than: float) -> int:
        """Remove git's lock files and temporary packs and objects that are at least `older_than` seconds old.

        Those of a packing under way are not left-overs: while there is one, only what is very old goes.
        """
        with self.mirror.packing() as free:
            return self._sweep(older_than if free else max(older_than, _SURELY_DEAD))

    def _sweep(self, older_than: float) -> int:
        removed = 0
        limit = time.time() - older_than
        for directory, _, files in os.walk(self.mirror.git_dir):
            for file in files:
                if not file.endswith(".lock") and not file.startswith(
                    ("tmp_pack_", "tmp_idx_", "tmp_rev_", "tmp_obj_")
                ):
                    continue
                path = Path(directory, file)
                try:
                    if path.stat().st_mtime <= limit:
                        path.unlink()
                        removed += 1
                except OSError:
                    continue
        return removed

    def drop(self) -> None:
        """Remove the mirror. Renamed first, so that it is gone at once whatever happens next."""
        self.mirror.trash.mkdir(exist_ok=True)
        grave = self.mirror.trash / f"{self.mirror.name}.{time.time_ns()}"
        try:
            self.mirror.git_dir.rename(grave)
        except FileNotFoundError:
            return
        os.ftruncate(self.handle, 0)
        shutil.rmtree(grave, ignore_errors=True)


@contextmanager
def _locked(path: Path, wait: bool) -> Iterator[int | None]:
    """Hold a lock file; yields its descriptor, or None if it is taken and `wait` is false."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield handle
    finally:
        os.close(handle)


def now() -> float:
    """Seconds since this machine's start, the same in all of its processes."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _started(pid: int) -> str:
    """When a process was started, in the kernel's ticks; empty if it is gone. Tells it from a later one of that id."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
