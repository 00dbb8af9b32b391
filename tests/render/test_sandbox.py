"""Renderers have no network, are stopped by their limits, and leave nothing behind."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.sandbox import Guard, Spawner, network_filter
from driftline.adapters.render.settings import MIB, ProcessLimits, RenderSettings
from driftline.adapters.render.tools import find_program, run
from driftline.adapters.render.workspace import Workspace, remove
from driftline.desired.tools import Tool
from driftline.model.errors import Failure, Permanent, Temporary
from tests.kit.memory_tree import MemoryTree
from tests.kit.rendering import config_map, rendered_names, request

CHART = {"app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}


@pytest.fixture(scope="module")
def spawner() -> Iterator[Spawner]:
    made = Spawner(ProcessLimits())
    yield made
    made.close()


def python(spawner: Spawner, program: str, settings: RenderSettings | None = None) -> bytes:
    """What a Python program puts out when it runs as a renderer does."""
    with Workspace() as workspace:
        return run(spawner, settings or RenderSettings(), workspace, [sys.executable, "-I", "-c", program], "app")


def running(*command: str) -> bool:
    """Whether any process of this machine was started with exactly this command line."""
    wanted = b"".join(word.encode() + b"\0" for word in command)
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if place.read_bytes() == wanted:
                return True
        except OSError:
            continue
    return False


def test_threads_that_come_while_it_starts_see_the_guard(monkeypatch: pytest.MonkeyPatch) -> None:
    def slowly() -> bool:
        time.sleep(0.2)
        return True

    monkeypatch.setattr("driftline.adapters.render.sandbox.give_up_network", slowly)
    made = Spawner(ProcessLimits())
    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(lambda _: made.guard, range(4)))
    made.close()
    assert set(seen) == {Guard.SECCOMP}


def test_this_machine_has_a_guard(renderers: Renderers) -> None:
    assert renderers.guard is Guard.SECCOMP


@pytest.mark.parametrize("family", ["AF_INET", "AF_INET6", "AF_NETLINK", "AF_PACKET"])
def test_a_renderer_cannot_open_a_socket(spawner: Spawner, family: str) -> None:
    program = f"""
import socket
try:
    socket.socket(socket.{family}, socket.SOCK_RAW if "{family}" == "AF_PACKET" else socket.SOCK_DGRAM)
except PermissionError:
    print("refused")
"""
    assert python(spawner, program) == b"refused\n"


def test_a_renderer_cannot_reach_local_services_or_other_processes(spawner: Spawner, tmp_path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(tmp_path / "docker.sock"))
        service.listen()
        program = f"""
import ctypes, socket
socket.socketpair()
try:
    socket.socket(socket.AF_UNIX).connect({str(tmp_path / "docker.sock")!r})
except PermissionError:
    print("refused")
libc = ctypes.CDLL(None, use_errno=True)
print(libc.ptrace(16, {os.getpid()}, 0, 0), ctypes.get_errno())
print(libc.syscall(425, 1, 0), ctypes.get_errno())
"""
        assert python(spawner, program) == b"refused\n-1 13\n-1 13\n"


def test_this_process_keeps_its_network(spawner: Spawner) -> None:
    import socket

    assert spawner.guard is Guard.SECCOMP
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()


def test_the_filter_is_known_for_both_architectures() -> None:
    assert len(network_filter("x86_64")) == len(network_filter("aarch64")) == 8 * 21
    with pytest.raises(KeyError):
        network_filter("riscv64")


def test_a_renderer_gets_nothing_of_our_environment(spawner: Spawner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_SECRET_KEY", "canary")
    found = python(spawner, "import os; print(sorted(os.environ.items())); print(os.listdir('..')==None)")
    assert b"canary" not in found and b"DRIFTLINE" not in found


def test_the_helper_gets_nothing_of_our_environment_either(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIFTLINE_SECRET_KEY", "canary")
    renderers = Renderers(RenderSettings())
    try:
        rendered_names(renderers, MemoryTree({"app/a.yaml": config_map("a")}))
        process = renderers._helper._process
        assert process is not None
        assert Path(f"/proc/{process.pid}/environ").read_bytes() == b"LC_ALL=C.UTF-8\0"
        status = Path(f"/proc/{process.pid}/status").read_text()
        assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status
    finally:
        renderers.close()


def test_limits_are_set_by_the_kernel(spawner: Spawner) -> None:
    program = "import resource as r; print([r.getrlimit(getattr(r, 'RLIMIT_' + n))[0] for n in ('DATA','CPU','FSIZE','NOFILE','CORE')])"  # noqa: E501
    assert python(spawner, program) == f"[{512 * MIB}, 60, {64 * MIB}, 256, 0]\n".encode()


def refused(program: str, kind: type[Failure] = Permanent, **changes: object) -> str:
    """The message about a program that a limit stops."""
    settings = replace(RenderSettings(), **changes)  # type: ignore[arg-type]
    spawner = Spawner(settings.limits)
    try:
        with pytest.raises(kind) as caught:
            python(spawner, program, settings)
        return caught.value.message
    finally:
        spawner.close()


def test_what_takes_too_long_is_killed_with_all_that_it_started() -> None:
    program = "import subprocess, sys, time; subprocess.Popen(['sleep', '987']); time.sleep(987)"
    started = time.monotonic()
    message = refused(program, deadline=timedelta(seconds=1))
    assert message.endswith("took longer than 1 s and was stopped") and message.startswith("app: ")
    assert time.monotonic() - started < 5
    assert not running("sleep", "987")


def test_what_a_renderer_leaves_running_is_killed_too(spawner: Spawner) -> None:
    python(spawner, "import subprocess; subprocess.Popen(['sleep', '988'])")
    time.sleep(0.1)
    assert not running("sleep", "988")


def test_a_loop_is_stopped_by_its_processor_time() -> None:
    message = refused("while True: pass", limits=ProcessLimits(cpu=timedelta(seconds=1)))
    assert message.endswith("used up its 1 s of processor time")


def test_endless_output_is_stopped() -> None:
    message = refused("import sys\nwhile True: sys.stdout.write('x' * 65536)", limits=ProcessLimits(file_size=4 * MIB))
    assert "put out more than 4194304 bytes and was stopped" in message


def test_memory_is_bounded() -> None:
    message = refused("x = 'x' * (10 ** 9)", limits=ProcessLimits(data=64 * MIB))
    assert "MemoryError" in message


def test_a_crash_is_a_named_error_and_an_outside_kill_is_worth_another_try() -> None:
    assert "crashed" in refused("import ctypes; ctypes.string_at(0)")
    outside = refused("import os; os.kill(os.getpid(), 9)", Temporary)
    assert "was killed from outside" in outside


def test_errors_are_cut_and_decoded() -> None:
    message = refused("import sys; sys.stderr.buffer.write(b'Error: \\xff' + b'x' * 10**6); sys.exit(1)")
    assert message.startswith("app: \ufffdxxx") and len(message) < 800


def test_renderers_die_with_the_process_that_started_them(tmp_path: Path) -> None:
    program = f"""
import subprocess, sys, time
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import ProcessLimits
started = Spawner(ProcessLimits()).start(['sleep', '989'], '/', {{}}, -3, -3, sys.stderr.buffer)
print(started.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    parent.stdout.readline()
    assert running("sleep", "989")
    parent.kill()
    parent.wait()
    until = time.monotonic() + 5
    while running("sleep", "989"):
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_chart_that_loops_is_stopped_and_the_next_one_renders(settings: RenderSettings) -> None:
    renderers = Renderers(replace(settings, deadline=timedelta(seconds=3)))
    memory = CHART | {"app/templates/a.yaml": "{{ range until 2000000000 }}{{ . }}{{ end }}"}
    loop = CHART | {"app/templates/a.yaml": "{{ range until 90000 }}{{ range until 90000 }}{{ end }}{{ end }}"}
    endless = CHART | {"app/templates/a.yaml": '{{ define "a" }}{{ include "a" . }}{{ end }}{{ include "a" . }}'}
    messages: list[str] = []
    try:
        for files in (loop, memory, endless):
            started = time.monotonic()
            with pytest.raises(Failure) as caught:
                renderers.render(request(MemoryTree(files)))
            assert caught.value.message.startswith("app: ")
            messages.append(caught.value.message)
            assert time.monotonic() - started < 10
        assert "helm took longer than 3 s and was stopped" in messages[0]
        good = CHART | {"app/templates/a.yaml": config_map("fine")}
        assert rendered_names(renderers, MemoryTree(good)) == ["ConfigMap/fine"]
    finally:
        renderers.close()


def test_without_a_guard_nothing_is_rendered_unless_it_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.adapters.render.sandbox.give_up_network", lambda: False)
    monkeypatch.setattr("driftline.adapters.render.sandbox._can_unshare", lambda: False)
    tree = MemoryTree({"app/a.yaml": config_map("a")})
    renderers = Renderers(RenderSettings())
    with pytest.raises(Permanent, match="allow it with DRIFTLINE_RENDER_UNSANDBOXED=true"):
        renderers.render(request(tree))
    renderers.close()
    renderers = Renderers(RenderSettings(allow_unsandboxed=True))
    assert renderers.guard is Guard.NONE
    assert rendered_names(renderers, tree) == ["ConfigMap/a"]
    renderers.close()


def test_where_only_a_namespace_helps_the_network_is_gone_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.adapters.render.sandbox.give_up_network", lambda: False)
    spawner = Spawner(ProcessLimits())
    if spawner.guard is not Guard.NAMESPACE:
        assert spawner.guard is Guard.NONE, "this machine forbids unshare -rn, and then nothing may start"
        spawner.close()
        return
    program = "import socket; print(socket.create_connection(('127.0.0.1', 9), 1) if 0 else [n for _, n in socket.if_nameindex()])"  # noqa: E501
    assert python(spawner, program) == b"['lo']\n"
    spawner.close()


def test_it_works_again_after_a_fork(settings: RenderSettings) -> None:
    renderers = Renderers(settings)
    tree = MemoryTree({"app/a.yaml": config_map("a")})
    assert rendered_names(renderers, tree) == ["ConfigMap/a"]
    child = os.fork()
    if child == 0:
        ok = rendered_names(renderers, tree) == ["ConfigMap/a"]
        renderers.close()
        os._exit(0 if ok else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert rendered_names(renderers, tree) == ["ConfigMap/a"], "the parent's helper is still its own"
    renderers.close()


def test_no_directory_is_left_behind(settings: RenderSettings, tmp_path: Path) -> None:
    renderers = Renderers(replace(settings, work_directory=tmp_path))
    files = CHART | {
        "app/templates/a.yaml": config_map("a"),
        "k/kustomization.yaml": "resources: [x.yaml]",
        "k/x.yaml": "{",
    }
    rendered_names(renderers, MemoryTree(files))
    with pytest.raises(Permanent):
        renderers.render(request(MemoryTree(files), "k"))
    renderers.close()
    assert list(tmp_path.iterdir()) == []


def test_a_directory_made_unreadable_is_removed_all_the_same() -> None:
    program = f"""
import sys, os, pathlib
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
sys.path += {[path for path in sys.path if "site-packages" in path]!r}
from driftline.adapters.render.workspace import Workspace
with Workspace() as workspace:
    workspace.write("a/b/c", b"x")
    os.chmod(workspace.root / "a" / "b", 0)
    os.chmod(workspace.root / "a", 0)
    root = workspace.root
print(os.path.exists(root), os.getuid())
"""
    command = [sys.executable, "-c", program]
    if os.getuid() == 0:
        command = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--", *command]
    done = subprocess.run(command, capture_output=True, text=True, cwd="/", check=False)
    if "Permission denied" in done.stderr and "python" in done.stderr:
        pytest.fail(f"this Python cannot be run by an unprivileged user: {done.stderr}")
    assert done.stdout.startswith("False"), done.stderr


@pytest.mark.parametrize("path", ["../x", "a/../../x", "a/./b", "a/../b", "x\0y"])
def test_no_file_is_written_outside(path: str) -> None:
    with Workspace() as workspace, pytest.raises(Permanent, match="cannot be the path of a file"):
        workspace.write(path, b"")


def test_directories_cannot_be_guessed() -> None:
    with Workspace() as one, Workspace() as other:
        assert one.root != other.root
        assert one.root.stat().st_mode & 0o777 == 0o700
    remove(Path(tempfile.mkdtemp()))


def test_a_missing_tool_is_named_with_the_way_out(settings: RenderSettings) -> None:
    renderers = Renderers(replace(settings, helm="/nowhere/helm"))
    with pytest.raises(Permanent, match="/nowhere/helm: no such program; install Helm 3 or 4"):
        renderers.inputs(request(MemoryTree(CHART)))
    program = renderers.program(Tool.KUSTOMIZE)
    assert program is not None and len(program.build) == 16
    assert find_program("kubectl", program.path, "") == program
    renderers.close()
