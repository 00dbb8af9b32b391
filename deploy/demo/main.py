"""`make demo`: an installation of everything on this machine, and the main story played in it.

`python -m deploy.demo.main [--detach] [--yes] [--stop]`.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from deploy.demo import keeper
from deploy.demo.borrowed import Borrowed, NotAllowed, borrow
from deploy.demo.processes import end, is_running
from deploy.demo.stage import Stage
from deploy.demo.story import Place, Story, StoryFailed
from deploy.localcluster import build
from driftline.adapters.processes import tied

DIRECTORY = Path(__file__).resolve().parents[2] / ".driftline" / "demo"
PATIENCE = 120.0
"""Seconds that everything gets to start."""
GOODBYE = 40.0
"""Seconds that everything gets to end."""


class DemoFailed(Exception):
    """The demo cannot go on; the text is for people."""


class AlreadyRunning(DemoFailed):
    """Another demo runs, undisturbed."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. 0 if the story was played to its end, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="demo", description="Play Driftline's main story on this machine.")
    parser.add_argument("--detach", action="store_true", help="leave everything running in the background")
    parser.add_argument("--yes", action="store_true", help="use the cluster of KUBECONFIG without asking")
    parser.add_argument("--stop", action="store_true", help="end what --detach left running")
    chosen = parser.parse_args(arguments)
    stage = Stage()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        return stop(stage) if chosen.stop else Demo(stage, chosen.detach, chosen.yes).run()
    except (build.BuildFailed, NotAllowed, AlreadyRunning) as error:
        stage.failed(str(error))
    except (DemoFailed, StoryFailed, TimeoutError, RuntimeError, OSError) as error:
        stage.failed(str(error))
        show_logs(stage)
    except KeyboardInterrupt:
        stage.say("interrupted; everything is ended")
    return 1


def show_logs(stage: Stage) -> None:
    """The ends of the logs, for whoever looks for the cause."""
    for path in (DIRECTORY.with_suffix(".log"), *sorted((DIRECTORY / "world").glob("*.log"))):
        if path.exists() and (lines := path.read_text(errors="replace").splitlines()[-15:]):
            stage.quote(f"the end of {path}", lines)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def stop(stage: Stage) -> int:
    """End a demo that runs in the background."""
    state = keeper.read_state(DIRECTORY)
    if not state or not is_running(state["pid"], state["started"]):
        stage.say("no demo is running")
        return 0
    with stage.step("ending everything", "everything is ended"):
        if not end(state["pid"], state["started"], GOODBYE):
            raise DemoFailed(
                f"process {state['pid']}: did not end within {GOODBYE:.0f} s; kill -9 {state['pid']} ends it"
            )
    return 0


class Demo:
    """One run."""

    def __init__(self, stage: Stage, detach: bool, yes: bool) -> None:
        self.stage, self.detach, self.yes = stage, detach, yes
        self.process: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        """Start, play, and stay or leave."""
        self._alone()
        DIRECTORY.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        borrowed = borrow(self.stage, DIRECTORY.with_suffix(".kubeconfig"), self.yes)
        try:
            self.stage.act("Setting up")
            self._build(borrowed)
            state = self._start(borrowed)
            Story(self._place(state), self.stage).play()
            self._closing_words(state)
            if self.detach:
                return 0
            self._stay()
        except BaseException:
            self._end()
            raise
        self._end()
        return 0

    def _alone(self) -> None:
        state = keeper.read_state(DIRECTORY)
        if state and is_running(state["pid"], state["started"]):
            raise AlreadyRunning(
                f"a demo is running already at {state.get('url', 'this machine')}; make demo-stop ends it"
            )

    def _build(self, borrowed: Borrowed | None) -> None:
        begin = time.monotonic()
        if borrowed is None:
            build.binaries()
        build.helm()
        if (took := time.monotonic() - begin) > 1:
            self.stage.took("built, and kept for the next time", took)

    def _start(self, borrowed: Borrowed | None) -> dict[str, Any]:
        command = [sys.executable, "-m", "deploy.demo.keeper", str(DIRECTORY)]
        command += [str(borrowed.kubeconfig)] if borrowed else []
        log = DIRECTORY.with_suffix(".log")
        with log.open("wb") as out:
            self.process = subprocess.Popen(
                command if self.detach else tied(command),
                cwd=Path(__file__).resolve().parents[2],
                env=keeper.scrub(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return self._await_ready(self.process)

    def _await_ready(self, process: "subprocess.Popen[bytes]") -> dict[str, Any]:
        shown, doing, deadline = 0, "starting", time.monotonic() + PATIENCE
        with self.stage.console.status(doing) as status:
            while time.monotonic() < deadline:
                state = keeper.read_state(DIRECTORY)
                if state.get("pid") == process.pid:
                    for text, seconds in state["steps"][shown:]:
                        self.stage.took(text, seconds)
                        shown += 1
                    if state["phase"] == "ready":
                        return state
                    if state["phase"] == "failed":
                        raise DemoFailed(state["error"])
                    status.update(state.get("doing", doing))
                if process.poll() is not None:
                    raise DemoFailed(f"it ended with code {process.returncode} while starting")
                time.sleep(0.05)
        raise DemoFailed(f"not everything has started after {PATIENCE:.0f} s")

    def _place(self, state: dict[str, Any]) -> Place:
        return Place(state["url"], state["token"], state["git"], state["hands"], Path(state["directory"]))

    def _closing_words(self, state: dict[str, Any]) -> None:
        stage = self.stage
        stage.act(f"All of it took {time.monotonic() - stage.began:.0f} s. Look around")
        stage.say(f"UI and API   {state['url']}")
        stage.say(f"sign in as   admin / {state['password']}")
        stage.say(f"Git          git clone {state['git']}/demo/shop.git      (push to it: the cluster follows)")
        stage.say(f"kubectl      .venv/bin/kubectl --kubeconfig {state['hands']} get pods -A")
        stage.say(f"driftline    export DRIFTLINE_SERVER={state['url']} DRIFTLINE_AUTH_TOKEN={state['token']}")
        stage.say("             .venv/bin/driftline app list")
        settings = " ".join(f"{name}={shlex.quote(value)}" for name, value in state["settings"].items())
        stage.say(f"its health   env {settings} .venv/bin/driftline doctor")
        stage.say(f"logs, mails  {state['directory']}/world")
        stage.say("It runs in the background; make demo-stop ends it." if self.detach else "Ctrl-C ends all of it.")

    def _stay(self) -> None:
        assert self.process is not None
        try:
            self.process.wait()
        except KeyboardInterrupt:
            self.stage.console.print()
            return
        raise DemoFailed(f"the installation ended by itself with code {self.process.returncode}")

    def _end(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        with self.stage.step("ending everything", "everything is ended"):
            self.process.terminate()
            try:
                self.process.wait(GOODBYE)
            except subprocess.TimeoutExpired:
                self.process.kill()


if __name__ == "__main__":
    sys.exit(main())
