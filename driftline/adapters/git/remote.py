"""Talks to the Git host: one git process a question, with its credentials, its deadline and its quota."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from driftline.adapters.git.command import REMOTE, command_line, environment
from driftline.adapters.git.credentials import reach
from driftline.adapters.git.errors import explain
from driftline.adapters.git.mirror import Held
from driftline.adapters.git.processes import Command, DeadlineMissed, Done, OutputTooLarge, run
from driftline.adapters.git.settings import MIB, GitSettings
from driftline.desired.urls import normalise, shown_url
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary


class TooLarge(Exception):
    """A first fetch has grown beyond what is taken whole."""


@dataclass(frozen=True)
class Reachable:
    """A repository that answered. `default_branch` and `head` are empty in a repository without commits."""

    default_branch: str = ""
    head: str = ""


class Remote:
    """One repository at its host. `home` is an empty directory, `scratch` one for short-lived private files."""

    def __init__(self, access: RepositoryAccess, settings: GitSettings, home: Path, scratch: Path) -> None:
        self._access, self._settings = access, settings
        self._home, self._scratch = home, scratch
        self.shown = shown_url(access.url)
        self.normalised = normalise(access.url)
        self.secrets: tuple[str, ...] = ()

    def look(self) -> Reachable:
        """Ask for HEAD. Raises Temporary or Permanent, saying why the repository cannot be reached."""
        arguments = ("ls-remote", "--symref", "--end-of-options", REMOTE, "HEAD")
        with reach(self._access, self._settings, self._scratch) as means:
            self.secrets = means.secrets
            done = self._run(
                Command(
                    command_line(self._settings, None, *arguments),
                    {**environment(self._home, means.config), **means.variables},
                    self._home,
                    self._settings.fetch_deadline,
                )
            )
        if done.code:
            raise explain(self.shown, done.errors, self.secrets)
        branch = head = ""
        for line in done.output.decode(errors="replace").splitlines():
            value, _, name = line.partition("\t")
            if name == "HEAD" and value.startswith("ref: "):
                branch = value.removeprefix("ref: ")
            elif name == "HEAD":
                head = value
        return Reachable(branch, head)

    def transfer(
        self, held: Held, arguments: Sequence[str], config: Mapping[str, str], *, first: bool, stdin: bytes = b""
    ) -> Done:
        """Run `git fetch` in a mirror. Raises Temporary at the deadline, Permanent at the quota, TooLarge at first."""
        settings, mirror = self._settings, held.mirror
        deadline = settings.clone_deadline if first else settings.fetch_deadline

        def look() -> None:
            size = mirror.packs_size()
            if size > settings.mirror_quota:
                raise Permanent(
                    f"{self.shown}: is larger than a mirror may be ({settings.mirror_quota // MIB} MiB); "
                    "raise DRIFTLINE_GIT_MIRROR_QUOTA"
                )
            if first and size > settings.partial_above and not mirror.state().partial:
                raise TooLarge

        clean = False
        try:
            with reach(self._access, settings, self._scratch) as means:
                self.secrets = means.secrets
                command = Command(
                    command_line(settings, mirror.git_dir, *arguments),
                    {**environment(self._home, {**means.config, **config}), **means.variables},
                    mirror.git_dir,
                    deadline,
                    stdin,
                )
                done = self._run(command, look, held.note_running)
            clean = done.code == 0
            return done
        finally:
            if not clean:
                held.sweep(0.0)
            held.note_ended()

    def _run(
        self,
        command: Command,
        look: Callable[[], None] | None = None,
        started: Callable[[int], None] | None = None,
    ) -> Done:
        try:
            return run(command, look, started)
        except DeadlineMissed as error:
            seconds = command.deadline.total_seconds()
            raise Temporary(f"{self.shown}: no end within {seconds:.0f} s; the fetch was stopped") from error
        except OutputTooLarge as error:
            raise Permanent(f"{self.shown}: answers with far too much; is it the right repository?") from error
        except FileNotFoundError as error:
            raise Temporary(f"{self._settings.git}: cannot be started; is git installed?") from error
