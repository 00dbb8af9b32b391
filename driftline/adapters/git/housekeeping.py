"""Keeps the mirrors small and whole: leftovers, clean-up, quota, damage. Run now and then by one process."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from driftline.adapters.git.fetching import promisor_options
from driftline.adapters.git.local import CorruptMirror, run_local
from driftline.adapters.git.mirror import Held, Mirror
from driftline.adapters.git.refs import REWRITTEN
from driftline.adapters.git.settings import GitSettings
from driftline.model.errors import Temporary

_LOOSE_OBJECTS, _PACKS, _LOOSE_REFS = 6700, 50, 500


@dataclass
class Report:
    """What a round of housekeeping did; mirrors by their normalised URL."""

    leftovers: int = 0
    collected: list[str] = field(default_factory=list)
    evicted: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    size: int = 0
    """Bytes of all mirrors afterwards."""


@dataclass(frozen=True)
class Keeper:
    """One round over the mirrors under `root`. `mirror` finds one by its name, `dropped` hears of each that is gone."""

    root: Path
    home: Path
    scratch: Path
    settings: GitSettings
    mirror: Callable[[str], Mirror]
    dropped: Callable[[Mirror], None]

    def run(self) -> Report:
        """Do everything that is due. A mirror in use is left for the next round."""
        report = Report()
        report.leftovers += self._scratch_files()
        for mirror in self._mirrors():
            with mirror.held(wait=False) as held:
                if held is None or not mirror.exists:
                    continue
                self._tend(mirror, held, report)
            self._collect(mirror, report)
        self._evict(report)
        return report

    def _tend(self, mirror: Mirror, held: Held, report: Report) -> None:
        report.leftovers += int(held.recover()) + held.sweep(2 * self.settings.fetch_deadline.total_seconds())
        try:
            self._forget_rewritten(mirror)
        except (CorruptMirror, Temporary) as error:
            report.failed.append(f"{_shown(mirror)}: {error}")

    def _collect(self, mirror: Mirror, report: Report) -> None:
        """Pack a mirror that needs it. Fetches go on meanwhile; a damaged mirror is dropped, to be fetched anew."""
        with mirror.packing() as free:
            if not free or not due(mirror):
                return
            shown = _shown(mirror)
            try:
                self._pack(mirror)
                report.collected.append(shown)
                return
            except Temporary as error:
                report.failed.append(f"{shown}: {error}")
                return
            except CorruptMirror:
                report.damaged.append(shown)
        with mirror.held() as held:
            assert held is not None
            self._drop(mirror, held)

    def _pack(self, mirror: Mirror) -> None:
        partial = promisor_options() if mirror.state().partial else []
        self._git(mirror, [*partial, "gc", "--quiet", "--prune=1.day.ago"])

    def _forget_rewritten(self, mirror: Mirror) -> None:
        limit = time.time() - self.settings.rewritten_kept.total_seconds()
        for name in mirror.refs.read([REWRITTEN + "*"]):
            moment = name.removeprefix(REWRITTEN).partition("-")[0]
            if moment.isdecimal() and int(moment) < limit:
                self._git(mirror, ["update-ref", "-d", "--end-of-options", name])

    def _evict(self, report: Report) -> None:
        """Drop the least recently used mirrors until all together fit the quota."""
        mirrors = sorted(self._mirrors(), key=Mirror.last_used)
        sizes = {mirror.name: mirror.size() for mirror in mirrors}
        report.size = sum(sizes.values())
        for mirror in mirrors:
            if report.size <= self.settings.total_quota:
                return
            with mirror.held(wait=False) as held:
                if held is not None:
                    report.evicted.append(_shown(mirror))
                    self._drop(mirror, held)
                    report.size -= sizes[mirror.name]

    def _drop(self, mirror: Mirror, held: Held) -> None:
        held.drop()
        self.dropped(mirror)

    def _scratch_files(self) -> int:
        """Remove what killed processes left behind: private files, and mirrors half deleted."""
        limit = time.time() - 2 * self.settings.clone_deadline.total_seconds()
        removed = 0
        for path in [*self.scratch.glob("*"), *(self.root / "trash").glob("*")]:
            try:
                if path.stat().st_mtime <= limit or path.parent.name == "trash":
                    shutil.rmtree(path, ignore_errors=True)
                    removed += 1
            except FileNotFoundError:
                continue
        return removed

    def _git(self, mirror: Mirror, arguments: Sequence[str]) -> None:
        run_local(self.settings, mirror.git_dir, self.home, arguments)

    def _mirrors(self) -> Iterator[Mirror]:
        for path in sorted(self.root.glob("*.git")):
            yield self.mirror(path.name.removesuffix(".git"))


def due(mirror: Mirror) -> bool:
    """Whether a mirror has gathered so many small files that packing them pays."""
    objects = mirror.git_dir / "objects"
    # Object ids spread evenly over the 256 directories: one of them tells of all.
    loose = 256 * len(list((objects / "17").glob("*")))
    packs = len(list((objects / "pack").glob("*.pack")))
    refs = sum(1 for path in (mirror.git_dir / "refs").rglob("*") if path.is_file())
    return loose > _LOOSE_OBJECTS or packs > _PACKS or refs > _LOOSE_REFS


def _shown(mirror: Mirror) -> str:
    return mirror.state().url or mirror.name
