"""The story that the demo plays, on an installation that runs: only what any user could do, by Git, kubectl and API."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx

from deploy.demo.caught import Heard, read_mail, read_slack
from deploy.demo.keeper import scrub
from deploy.demo.onlooker import Onlooker
from deploy.demo.stage import Stage
from deploy.demo.worktree import WorkTree
from deploy.demo.world import Api, ApiError

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"
WRITTEN_URL = "http://127.0.0.1:8418"
"""The Git host in the examples, which is exchanged for the one that runs."""

OVERLAY = "guestbook/production/kustomization.yaml"
NAMES = ("guestbook", "podinfo")
OLD, NEW = "1.4.0", "1.5.0"


class StoryFailed(Exception):
    """Something did not happen; the text says what."""


@dataclass(frozen=True)
class Place:
    """How to reach the installation: its API, its Git host, a kubeconfig for hand edits, its directory."""

    url: str
    token: str
    git: str
    hands: str
    directory: Path


@dataclass(frozen=True)
class State:
    """What the API said of an application at one moment."""

    at: float
    sync: str
    health: str
    revision: str


class Story:
    """Plays act after act. Raises StoryFailed, or what a command says, when one does not come true."""

    def __init__(self, place: Place, stage: Stage) -> None:
        self.place, self.stage = place, stage
        self.api = Api(place.url, place.token)
        beside = Path(sys.executable).parent
        self.kubectl = [str(beside / "kubectl"), "--kubeconfig", place.hands]
        self.tree = WorkTree.create(place.directory / "developer", f"{place.git}/demo/shop.git")

    def play(self) -> None:
        """All of it, in order."""
        self.two_applications()
        self.a_push()
        self.a_hand_edit()
        self.drift_that_stays()
        self.a_rollback()

    def two_applications(self) -> None:
        """The examples go into Git, and two applications are declared that follow them."""
        stage = self.stage
        stage.act("Two applications from one Git repository")
        files = {
            str(path.relative_to(EXAMPLES)): path.read_bytes() for path in sorted(EXAMPLES.rglob("*")) if path.is_file()
        }
        self.tree.commit("The shop as it is", files)
        self.tree.push()
        stage.say(f"{len(files)} files pushed to {self.place.git}/demo/shop.git")
        begin = time.time()
        for name, what in (("guestbook", "a Kustomize overlay, self-healing"), ("podinfo", "a Helm chart with values")):
            declared = (EXAMPLES / "applications" / f"{name}.yaml").read_text()
            file = self.place.directory / f"{name}.yaml"
            file.write_text(declared.replace(WRITTEN_URL, self.place.git))
            stage.command(f"driftline app create -f examples/applications/{name}.yaml      # {what}")
            self.driftline("app", "create", "-f", str(file))
        for name in NAMES:
            self.until_well(name)
            stage.moment(time.time() - begin, f"{name} is Synced and Healthy, counted from the first of these commands")
        self.show("app", "list")

    def a_push(self) -> None:
        """A commit, and what becomes of it, each stop with its time."""
        stage, name = self.stage, "guestbook"
        stage.act(f"A push: the guestbook goes from {OLD} to {NEW}")
        overlay = (self.tree.directory / OVERLAY).read_text().replace(OLD, NEW)
        commit = self.tree.commit(f"Guestbook {NEW}", {OVERLAY: overlay})
        delivered = len(self.deliveries())
        with Onlooker(self.kubectl, "guestbook", "prod-guestbook") as onlooker:
            stage.command("git push")
            self.tree.push()
            told = self.states_until(
                name, lambda state: state.revision == commit and (state.sync, state.health) == ("Synced", "Healthy")
            )
            written = onlooker.wait(lambda look: look.image.endswith(NEW), 30, f"{NEW} is written")
            rolled = onlooker.wait(lambda look: look.image.endswith(NEW) and look.rolled_out, 60, "it is rolled out")
        synced = self.api.get(f"/api/v1/applications/{name}/syncs?limit=1")["items"][0]
        record = self.api.get(f"/api/v1/applications/{name}/syncs/{synced['id']}")
        fresh = self.deliveries()[: len(self.deliveries()) - delivered]
        arrived = moment(fresh[-1]["receivedAt"])
        stage.moment(0, f"the webhook arrived: {fresh[-1]['event']} to {fresh[-1]['ref']}, answered with 202")
        stage.moment(
            moment(record["plannedAt"]) - arrived, "the commit was fetched, rendered, compared; the plan is stored:"
        )
        stage.quote("plan", record["planView"]["text"].splitlines())
        stage.moment(written.at - arrived, "kubectl sees the first write")
        stage.moment(rolled.at - arrived, "kubectl sees the new Pods available")
        stage.moment(told[-1].at - arrived, f"the API says Synced to {commit[:7]} and Healthy")

    def a_hand_edit(self) -> None:
        """Somebody scales by hand: seen, explained, told and repaired."""
        stage = self.stage
        stage.act("A hand edit: somebody scales the guestbook")
        begin = time.time()
        with Onlooker(self.kubectl, "guestbook", "prod-guestbook") as onlooker:
            onlooker.forget()
            self.by_hand("scale", "deployment/prod-guestbook", "--replicas=1", "--namespace", "guestbook")
            edited = onlooker.wait(lambda look: look.replicas == 1, 15, "the edit is seen")
            repaired = onlooker.wait(lambda look: look.at > edited.at and look.replicas == 3, 30, "it is repaired")
        found = self.drift("guestbook", since=edited.at)
        stage.moment(0, "kubectl sees 1 replica")
        self.explain(found, edited.at)
        stage.moment(repaired.at - edited.at, "kubectl sees 3 replicas again: the application heals itself")
        ended = self.until(lambda: self.drift("guestbook", edited.at)["endedAt"], 30, "the drift is over")
        stage.moment(moment(ended) - edited.at, f"recorded: {self.drift('guestbook', edited.at)['endReason']}")
        self.tell_alerts("guestbook", begin, messages=2)

    def drift_that_stays(self) -> None:
        """An application without self-heal: the drift stays until a person decides."""
        stage = self.stage
        stage.act("The same where selfHeal is off: drift that stays until a person decides")
        begin = time.time()
        self.by_hand("scale", "deployment/podinfo", "--replicas=5", "--namespace", "podinfo")
        found = self.drift("podinfo", since=begin)
        self.explain(found, begin)
        self.until(lambda: self.state("podinfo")[0] == "OutOfSync", 30, "podinfo is OutOfSync")
        self.show("app", "diff", "podinfo", accepted=(2,))
        self.tell_alerts("podinfo", begin)

    def a_rollback(self) -> None:
        """Back to the deployment before, and what keeps it there."""
        stage = self.stage
        stage.act(f"A rollback: the guestbook goes back to {OLD}")
        begin = time.time()
        with Onlooker(self.kubectl, "guestbook", "prod-guestbook") as onlooker:
            stage.command("driftline app rollback guestbook --reason 'checkout is slow'")
            begin = time.time()
            self.driftline("app", "rollback", "guestbook", "--reason", "checkout is slow")
            back = onlooker.wait(lambda look: look.at > begin and look.image.endswith(OLD), 30, f"{OLD} is back")
        stage.moment(back.at - begin, f"kubectl sees {OLD}: applied from the stored render, the Git host was not asked")
        self.until(lambda: {self.state(name)[1] for name in NAMES} == {"Healthy"}, 60, "both are Healthy")
        pin = self.api.application("guestbook")["status"]["driftline"]["pinned"]
        stage.say(f"pinned to {pin['revision'][:7]} by {pin['by']}: {pin['why']}")
        stage.say(f"Git still says {NEW}. The pin keeps automation from going there again until a newer commit")
        stage.say("arrives, or until somebody says: driftline app unpin guestbook")
        self.show("app", "list")

    # -- what acts are made of -----------------------------------------------------------------------------------

    def explain(self, found: Any, begin: float) -> None:
        """One drifted field, as the API tells it."""
        stage = self.stage
        key = "/".join(found[part] for part in ("group", "kind", "namespace", "name") if found[part])
        stage.moment(moment(found["foundAt"]) - begin, f"drift found: {key}")
        clean = f"after {clock(found['lastCleanAt'])} (still as Git says), " if found["lastCleanAt"] else ""
        noted = f" at {clock(found['managerAt'])}" if found["managerAt"] else ""
        stage.quote(
            "drift",
            (
                f"field  {found['path']}",
                f"Git    {found['desired']}",
                f"live   {found['live']}",
                f"by     {found['manager']} ({found['operation']}){noted}",
                f"when   {clean}seen at {clock(found['foundAt'])}",
            ),
        )

    def drift(self, name: str, since: float) -> Any:
        """The drift of an application that was found after a moment; the newest."""

        def newest() -> Any:
            items = self.api.get(f"/api/v1/drift?app={name}")["items"]
            return next((each for each in items if moment(each["foundAt"]) >= since - 1), None)

        return self.until(newest, 30, f"{name}'s drift is found")

    def tell_alerts(self, name: str, since: float, messages: int = 1) -> None:
        """Print the Slack messages about an application that came since, and the first mail."""

        def arrived() -> list[Heard] | None:
            both = [self.messages(read, name, since) for read in (read_slack, read_mail)]
            return [*both[0][:messages], both[1][0]] if all(len(found) >= messages for found in both) else None

        for heard in self.until(arrived, 30, f"the alerts about {name} arrive"):
            self.stage.quote(heard.title, heard.lines)

    def messages(self, read: Callable[[Path], Iterator[Heard]], name: str, since: float) -> list[Heard]:
        """What a catcher has kept about an application since a moment, in order."""
        found = [heard for heard in read(self.place.directory / "world") if heard.at >= since]
        return [heard for heard in found if any(name in line for line in heard.lines)]

    def state(self, name: str) -> tuple[str, str]:
        """(sync status, health)."""
        status = self.api.application(name)["status"]
        return status["sync"]["status"], status["health"]["status"]

    def states_until(self, name: str, wanted: Callable[["State"], bool]) -> list["State"]:
        """What the API says of an application, change by change, until it is as wanted."""
        states: list[State] = []

        def look() -> bool:
            status = self.api.application(name)["status"]
            sync = status["sync"]
            found = State(time.time(), sync["status"], status["health"]["status"], str(sync.get("revision")))
            if not states or replace(found, at=states[-1].at) != states[-1]:
                states.append(found)
            return wanted(found)

        self.until(look, 60, f"{name} is as Git says and works")
        return states

    def until_well(self, name: str) -> None:
        """Wait until an application is as Git says and works."""
        self.until(lambda: self.state(name) == ("Synced", "Healthy"), 60, f"{name} is Synced and Healthy")

    def revision(self, name: str) -> str:
        """The commit that was compared last."""
        return str(self.api.application(name)["status"]["sync"].get("revision"))

    def deliveries(self) -> list[Any]:
        """The latest webhooks, the newest first."""
        found: list[Any] = self.api.get("/api/v1/deliveries?limit=100")["items"]
        return found

    def by_hand(self, *arguments: str) -> None:
        """kubectl, as a person would."""
        self.stage.command(f"kubectl {' '.join(arguments)}")
        self._run([*self.kubectl, *arguments], (0,))

    def show(self, *arguments: str, accepted: tuple[int, ...] = (0,)) -> None:
        """Run a command of ours and print what it says."""
        self.stage.command(f"driftline {' '.join(arguments)}")
        for line in self.driftline(*arguments, accepted=accepted).splitlines():
            self.stage.say(line)

    def driftline(self, *arguments: str, accepted: tuple[int, ...] = (0,)) -> str:
        """Our command line, signed in as the administrator."""
        return self._run([sys.executable, "-P", "-m", "service.cli.main", *arguments], accepted)

    def _run(self, command: list[str], accepted: tuple[int, ...]) -> str:
        access = {
            "DRIFTLINE_CONFIG": str(self.place.directory / "world" / "config.json"),
            "DRIFTLINE_SERVER": self.place.url,
            "DRIFTLINE_AUTH_TOKEN": self.place.token,
        }
        done = subprocess.run(
            command, env={**scrub(os.environ), **access}, capture_output=True, text=True, timeout=60, check=False
        )
        if done.returncode not in accepted:
            shown = " ".join(Path(command[0]).name if not number else each for number, each in enumerate(command))
            raise StoryFailed(f"{shown}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def until(self, check: Callable[[], Any], patience: float, what: str) -> Any:
        """The first true answer of `check`. Raises StoryFailed."""
        deadline = time.monotonic() + patience
        last = ""
        while time.monotonic() < deadline:
            try:
                if found := check():
                    return found
            except (ApiError, httpx.HTTPError) as error:
                last = f"; the API said {error}"
            time.sleep(0.02)
        raise StoryFailed(f"waited {patience:g} s until {what}{last}")


def moment(text: str) -> float:
    """An API time as seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


def clock(text: str) -> str:
    """An API time as people read it: UTC, to the millisecond."""
    return datetime.fromisoformat(text).strftime("%H:%M:%S.%f")[:-3] + "Z"
