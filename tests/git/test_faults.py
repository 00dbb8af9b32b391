"""Git hosts that are slow, broken or gone, and workers that die: nothing known is lost and nothing stays behind."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from driftline.adapters.git import Mirrors
from driftline.adapters.git.errors import explain, retry_after, scrub
from driftline.adapters.git.mirror import Mirror
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.git.conftest import MAIN, MakeMirrors
from tests.kit.githost import Fault, GitHost, WorkTree, silent_port


def processes_of(directory: Path) -> list[int]:
    """Git processes that work in a mirror below `directory`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                environment = (entry / "environ").read_bytes().decode(errors="replace")
            except OSError:
                continue
            ours = f"--git-dir={directory}" in command or f"HOME={directory}" in environment
            if ours and "cat-file" not in command and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def test_a_hung_host_is_given_up_with_all_processes_and_the_lock(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    mirrors = make_mirrors(fetch_deadline=timedelta(seconds=1), clone_deadline=timedelta(seconds=1))
    mirrors.fetch(access, [MAIN])
    commit = shop.commit()
    shop.push()
    host.fault = Fault(hang=True, only="git-upload-pack")
    began = time.monotonic()
    with pytest.raises(Temporary, match="no end within 1 s"):
        mirrors.fetch(access, [MAIN])
    assert time.monotonic() - began < 4
    assert processes_of(mirrors._root) == []
    known = mirrors.known(access)
    assert known and MAIN in known.refs
    host.fault = None
    assert mirrors.fetch(access, [MAIN]).refs[MAIN] == commit
    assert list(mirrors._root.glob("*.git/**/*.lock")) == []


def test_a_host_that_never_speaks(make_mirrors: MakeMirrors) -> None:
    mirrors = make_mirrors(fetch_deadline=timedelta(seconds=1), clone_deadline=timedelta(seconds=1))
    with silent_port() as port:
        for url in (
            f"http://127.0.0.1:{port}/x.git",
            f"https://127.0.0.1:{port}/x.git",
            f"ssh://git@127.0.0.1:{port}/x",
        ):
            began = time.monotonic()
            with pytest.raises(Temporary, match=r"no end within|in time"):
                mirrors.fetch(RepositoryAccess(url), [MAIN])
            assert time.monotonic() - began < 4
    assert processes_of(mirrors._root) == []


@pytest.mark.parametrize(
    ("fault", "kind", "says", "delay"),
    [
        (Fault(status=500), Temporary, "the host failed (HTTP 500)", 10),
        (Fault(status=503, headers={"Retry-After": "45"}), Temporary, "the host failed (HTTP 503)", 45),
        (Fault(status=429, headers={"Retry-After": "120"}), Temporary, "fewer requests (HTTP 429)", 120),
        (Fault(status=429), Temporary, "fewer requests (HTTP 429)", 60),
        (Fault(status=404), Permanent, "is not a repository", None),
        (Fault(status=403), Permanent, "authentication failed", None),
        (Fault(truncate=True, only="/git-upload-pack", times=2), Temporary, "the connection broke off", 10),
    ],
)
def test_a_failing_host_loses_nothing(
    mirrors: Mirrors,
    access: RepositoryAccess,
    shop: WorkTree,
    host: GitHost,
    fault: Fault,
    kind: type[Temporary | Permanent],
    says: str,
    delay: int | None,
) -> None:
    before = mirrors.fetch(access, ["HEAD"])
    commit = shop.commit("new", {f"f{number}": os.urandom(3000) for number in range(50)})
    shop.push()
    host.fault = fault
    with pytest.raises(kind) as failed:
        mirrors.fetch(access, ["HEAD", "refs/heads/*"])
    assert str(failed.value).startswith(f"{access.url}: ") and says in str(failed.value)
    if isinstance(failed.value, Temporary):
        assert failed.value.delay == timedelta(seconds=delay or 0)
    known = mirrors.known(access)
    assert known and known.head == before.head
    host.fault = None
    assert mirrors.fetch(access, ["HEAD"]).head == commit
    inside = [path for path in mirrors._root.glob("*.git/**/*") if path.is_file()]
    assert not [path for path in inside if path.name.startswith("tmp_") or path.suffix == ".lock"]


def test_a_worker_killed_while_it_fetches_leaves_nothing_behind(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost, tmp_path: Path
) -> None:
    mirrors = make_mirrors()
    mirrors.fetch(access, [MAIN])
    commit = shop.commit()
    shop.push()
    host.fault = Fault(hang=True, only="/git-upload-pack")
    code = f"""
        from pathlib import Path
        from driftline.adapters.git import Mirrors
        from driftline.model.access import RepositoryAccess
        Mirrors(Path({str(mirrors._root)!r})).fetch(RepositoryAccess({access.url!r}), [{MAIN!r}])
    """
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    mirror = next(mirrors._root.glob("*.git"))
    wait_until(lambda: (mirror / "driftline.running").exists() and len(processes_of(mirrors._root)) >= 2)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    for leftover in ("refs/heads/main.lock", "packed-refs.lock", "shallow.lock", "objects/pack/tmp_pack_abc123"):
        (mirror / leftover).write_text("")
    host.fault = None
    assert mirrors.fetch(access, [MAIN]).refs[MAIN] == commit
    wait_until(lambda: processes_of(mirrors._root) == [])
    assert not [path for path in mirror.rglob("*") if path.suffix == ".lock" or path.name.startswith("tmp_")]
    assert not (mirror / "driftline.running").exists()


def test_what_a_dead_worker_started_is_ended_and_nothing_else(tmp_path: Path) -> None:
    mirror = Mirror(tmp_path, "m")
    mirror.git_dir.mkdir()
    ours = subprocess.Popen(["sleep", "60"], start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        with mirror.held() as held:
            assert held is not None
            held.note_running(other.pid)
            group, _, started = mirror.running.read_text().partition(" ")
            mirror.running.write_text(f"{group} {int(started) + 1}")
            assert held.recover()
            held.note_running(ours.pid)
        with mirror.held() as held:
            assert held is not None and held.recover() and not held.recover()
        assert ours.wait(5) == -signal.SIGKILL
        assert other.poll() is None, "a later process of that id is none of ours"
    finally:
        for process in (ours, other):
            process.kill()
            process.wait()


def wait_until(true: object, within: float = 10) -> None:
    deadline = time.monotonic() + within
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_worker_that_is_told_to_stop_takes_its_fetch_along(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    # A shell that starts the tests in the background lets them ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    mirrors = make_mirrors()
    host.fault = Fault(hang=True)
    threading.Timer(0.5, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        mirrors.fetch(access, [MAIN])
    assert processes_of(mirrors._root) == []


def test_a_repository_above_the_quota_is_stopped(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("driftline.adapters.git.processes._LOOK_EVERY", 0.001)
    shop.commit("bulk", {f"{number}.bin": os.urandom(1_000_000) for number in range(8)})
    shop.push()
    mirrors = make_mirrors(mirror_quota=1_000_000)
    with pytest.raises(Permanent, match="DRIFTLINE_GIT_MIRROR_QUOTA"):
        mirrors.fetch(access, [MAIN])
    assert not list(mirrors._root.glob("*.git/objects/pack/tmp_*"))


def test_the_least_used_mirrors_go_when_the_disk_is_to_be_freed(
    make_mirrors: MakeMirrors, host: GitHost, tmp_path: Path
) -> None:
    mirrors = make_mirrors()
    accesses = []
    for name in ("one", "two", "three"):
        tree = host.checkout(name, tmp_path / name)
        tree.commit("bulk", {"x": os.urandom(200_000)})
        tree.push()
        accesses.append(RepositoryAccess(host.url(name)))
        mirrors.fetch(accesses[-1], ["HEAD"])
    mirrors.tree(accesses[0], mirrors.fetch(accesses[0], ["HEAD"]).head)
    small = make_mirrors(total_quota=600_000)
    report = small.housekeeping()
    assert report.evicted == [host.url("two").removesuffix(".git")]
    assert report.size <= 600_000
    assert small.known(accesses[1]) is None and small.known(accesses[0]) is not None
    assert list((mirrors._root / "trash").iterdir()) == []
    assert mirrors.fetch(accesses[1], ["HEAD"]).head, "it comes back when it is wanted"


def test_a_damaged_mirror_is_made_anew_once(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, make_mirrors: MakeMirrors
) -> None:
    mirrors.fetch(access, ["HEAD"])
    mirror = next(mirrors._root.glob("*.git"))
    for path in list(mirror.glob("objects/pack/*")) + list(mirror.glob("objects/??/*")):
        path.chmod(0o644)
        path.write_bytes(b"")
    commit = shop.commit()
    shop.push()
    again = make_mirrors()
    assert again.fetch(access, ["HEAD"]).head == commit
    assert again.tree(access, commit).read(["README.md"])
    (mirror / "HEAD").write_text("")
    assert make_mirrors().fetch(access, ["HEAD"]).head == commit


def test_housekeeping_clears_what_is_old_and_leaves_what_is_in_use(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    commit = mirrors.fetch(access, ["HEAD"]).head
    mirror = next(mirrors._root.glob("*.git"))
    old, new = mirror / "objects/pack/tmp_pack_old", mirror / "packed-refs.lock"
    half = mirrors._root / "scratch" / "left"
    half.mkdir()
    for path in (old, new):
        path.write_text("")
    for path in (old, half):
        os.utime(path, (time.time() - 3600,) * 2)
    report = mirrors.housekeeping()
    assert report.leftovers == 2 and not old.exists() and not half.exists() and new.exists()
    new.unlink()
    for number in range(60):
        (mirror / "objects" / "pack" / f"pack-{number:040}.pack").write_bytes(b"")
    for path in mirror.glob("objects/pack/pack-0*"):
        path.unlink()
    with next(iter(mirrors._mirrors.values())).held():
        assert mirrors.housekeeping().collected == [], "in use: next time"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftline.adapters.git.housekeeping.due", lambda _: True)
        assert mirrors.housekeeping().collected == [access.url.removesuffix(".git")]
    assert mirrors.tree(access, commit).read(["README.md"])


def test_a_reader_outlives_the_clean_up(mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree) -> None:
    tree = None
    for number in range(5):
        commit = shop.commit(files={"x": f"{number}\n"})
        shop.push()
        mirrors.fetch(access, [MAIN])
        tree = mirrors.tree(access, commit)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("driftline.adapters.git.housekeeping.due", lambda _: True)
            assert mirrors.housekeeping().failed == []
        assert tree.read(["x"]) == {"x": f"{number}\n".encode()}


def test_no_push_waits_for_the_clean_up(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree, host: GitHost
) -> None:
    mirrors.fetch(access, [MAIN])
    mirror = next(iter(mirrors._mirrors.values()))
    commit = shop.commit()
    shop.push()
    with mirror.packing() as free:
        assert free
        unfinished = mirror.git_dir / "objects" / "pack" / "tmp_pack_repack"
        unfinished.write_text("")
        host.fault = Fault(status=500, times=1)
        with pytest.raises(Temporary):
            mirrors.fetch(access, [MAIN])
        assert unfinished.exists(), "a failed fetch leaves the packing's files alone"
        assert mirrors.fetch(access, [MAIN]).refs[MAIN] == commit


def test_a_mirror_whose_clean_up_finds_damage_is_dropped_and_comes_back(
    mirrors: Mirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    commit = mirrors.fetch(access, ["HEAD"]).head
    mirror = next(iter(mirrors._mirrors.values()))
    victims = list(mirror.git_dir.glob("objects/pack/*.pack"))
    victims += [path for path in mirror.git_dir.glob("objects/??/*") if path.is_file()]
    for path in victims:
        path.chmod(0o644)
        path.write_bytes(b"garbage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("driftline.adapters.git.housekeeping.due", lambda _: True)
        assert mirrors.housekeeping().damaged == [access.url.removesuffix(".git")]
    assert mirrors.known(access) is None
    assert mirrors.tree(access, mirrors.fetch(access, ["HEAD"]).head).commit == commit


def test_rewritten_commits_go_when_their_time_is_over(
    make_mirrors: MakeMirrors, access: RepositoryAccess, shop: WorkTree
) -> None:
    mirrors = make_mirrors(rewritten_kept=timedelta(seconds=-1))
    mirrors.fetch(access, [MAIN])
    shop.rewrite()
    shop.push(force=True)
    mirrors.fetch(access, [MAIN])
    assert list(mirrors._root.glob("*.git/refs/rewritten/*"))
    mirrors.housekeeping()
    assert not list(mirrors._root.glob("*.git/refs/rewritten/*"))


def test_the_wait_a_host_asks_for() -> None:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    line = "12:00:00.000000 http.c:700              <= Recv header: Retry-After: {}\n"
    assert retry_after(line.format("30")) == timedelta(seconds=30)
    assert retry_after(line.format("9" * 30)) == timedelta(hours=1)
    assert retry_after(line.format(format_datetime(moment + timedelta(minutes=5), usegmt=True)), moment) == timedelta(
        minutes=5
    )
    assert retry_after(line.format("soon")) is None
    assert retry_after("") is None


def test_messages_are_scrubbed() -> None:
    text = "fatal: odd thing at https://u:p-canary@host/x with tok-canary\n\x1b[31m"
    failure = explain("https://host/x", text, ["tok-canary"])
    assert isinstance(failure, Temporary)
    assert "canary" not in str(failure) and "\x1b" not in str(failure)
    assert scrub("") == "it gave no reason"
