"""The process that holds the demo's installation: `python -m deploy.demo.keeper DIRECTORY`, started by main.

Control plane, Git host, catchers and Driftline's processes are its children and end with it, however it ends. It says
in `state.json` how far it is and how to reach what it holds; SIGTERM ends it.
"""

import fcntl
import json
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import FrameType
from typing import Any

from deploy.demo.borrowed import Borrowed
from deploy.demo.processes import started
from deploy.demo.world import World
from deploy.localcluster.localcluster import LocalCluster

GIT_PORT, WEB_PORT = 8418, 8080
"""The ports that examples and settings name; others are taken where these are busy."""

NEEDED_HERE = ("DRIFTLINE_DATA_DIR", "DRIFTLINE_LISTEN", "DRIFTLINE_KUBECONFIG", "DRIFTLINE_HELM")
"""Settings without which a command that looks at the installation itself (doctor) would look at another one."""


class Ended(BaseException):
    """SIGTERM or SIGINT arrived."""


def state_file(directory: Path) -> Path:
    """Where the keeper of a directory says how it is. Beside the directory, so that wiping that leaves it."""
    return directory.with_suffix(".json")


def read_state(directory: Path) -> dict[str, Any]:
    """The last state that was written, empty if none."""
    try:
        found: dict[str, Any] = json.loads(state_file(directory).read_text())
    except (OSError, ValueError):
        return {}
    return found


class Keeper:
    """Starts everything, stays, and ends everything. `kubeconfig` is empty for a control plane of its own."""

    def __init__(self, directory: Path, kubeconfig: str = "") -> None:
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.parts = ExitStack()
        self.steps: list[tuple[str, float]] = []

    def run(self) -> int:
        """Stay until SIGTERM. 0 after a clean end, 1 if something did not start: the state says what."""
        stopping = threading.Event()
        with self.directory.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                self._interruptible(True)
                self._start()
                self._interruptible(False)
                for number in (signal.SIGTERM, signal.SIGINT):
                    signal.signal(number, lambda *_: stopping.set())
                stopping.wait()
            except Ended:
                pass
            except Exception as error:
                self._tell("failed", error=f"{error}")
                return 1
            finally:
                self._interruptible(False)
                self.parts.close()
        self._tell("ended")
        return 0

    def _start(self) -> None:
        self._wipe()
        self._tell("starting", doing="Kubernetes control plane")
        begin = time.monotonic()
        if not self.kubeconfig:
            cluster = LocalCluster(self.directory / "cluster")
            self.parts.callback(cluster.stop)
            cluster.start()
            self.steps.append((f"Kubernetes control plane at {cluster.server}", time.monotonic() - begin))
            self.kubeconfig, hands = str(cluster.kubeconfig_path()), str(cluster.kubeconfig_path("admin"))
        else:
            borrowed, hands = Borrowed(Path(self.kubeconfig)), self.kubeconfig
            self.parts.callback(borrowed.kubeconfig.unlink)  # credentials are not left lying about
            self.parts.callback(borrowed.clear)
            borrowed.prepare()
            self.steps.append(("namespaces of the demo in the cluster of KUBECONFIG", time.monotonic() - begin))
        begin = time.monotonic()
        self._tell("starting", doing="Git host, mail and Slack catchers, Driftline")
        world = World(
            self.directory / "world",
            self.kubeconfig,
            git_port=_free(GIT_PORT),
            port=_free(WEB_PORT),
        )
        self.parts.callback(world.close)
        world.start()
        world.git.create("demo/shop")
        self.steps.append(
            ("Git host, mail and Slack catchers, broker, web, worker, beat, watch", time.monotonic() - begin)
        )
        self._tell(
            "ready",
            url=world.url,
            token=world.api.token,
            password=world.password,
            git=world.git.address,
            hands=hands,
            directory=str(self.directory),
            settings={name: world.env[name] for name in NEEDED_HERE},
        )

    def _wipe(self) -> None:
        """Remove what an earlier demo left. Only ever called with the lock held, on a directory of our own."""
        cluster = self.directory / "cluster"
        if cluster.exists():
            LocalCluster(cluster).stop()
        if self.directory.exists():
            shutil.rmtree(self.directory)
        self.directory.mkdir(mode=0o700)

    def _interruptible(self, wanted: bool) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _raise_ended if wanted else signal.SIG_IGN)

    def _tell(self, phase: str, **more: Any) -> None:
        me = os.getpid()
        text = json.dumps({"phase": phase, "pid": me, "started": started(me), "steps": self.steps, **more})
        file = state_file(self.directory)
        draft = file.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(text)
        draft.replace(file)


def _raise_ended(number: int, frame: FrameType | None) -> None:
    raise Ended


def _free(port: int) -> int:
    """The port if nobody listens there, else 0: any."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


def scrub(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment without settings of any other installation: the demo must never reach into one."""
    foreign = ("DRIFTLINE_", "ARGOCD_", "KUBECONFIG")
    kept = {name: value for name, value in environment.items() if not name.startswith(foreign)}
    return kept | {"NO_PROXY": "127.0.0.1,localhost", "no_proxy": "127.0.0.1,localhost"}


def main() -> int:
    """The command line."""
    directory, *kubeconfig = sys.argv[1:]
    return Keeper(Path(directory), *kubeconfig).run()


if __name__ == "__main__":
    sys.exit(main())
