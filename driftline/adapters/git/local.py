"""Git commands that touch no remote, run through GitPython with command lines that `command` has made.

GitPython would add our whole environment to git's, so `env -i` stands in front of the command. Its timeout kills the
command and its children but knows no process group; that is enough for commands that only start git's own.
"""

from collections.abc import Sequence
from pathlib import Path

from driftline.adapters.git.command import local_command_line
from driftline.adapters.git.errors import corrupt, scrub
from driftline.adapters.git.settings import GitSettings
from driftline.model.errors import Temporary


class CorruptMirror(Exception):
    """Git says that the mirror's own files are damaged."""


def run_local(settings: GitSettings, git_dir: Path, home: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Run git in a mirror; return its exit code and what it printed. Raises CorruptMirror, or Temporary at exit 128."""
    # GitPython takes 90 ms to import, and a process that only reads never needs it.
    from git.cmd import Git
    from git.exc import GitCommandError, GitCommandNotFound

    command = local_command_line(settings, git_dir, home, arguments)
    deadline = settings.local_deadline.total_seconds()
    try:
        code, output, errors = Git(str(home)).execute(
            command, with_extended_output=True, with_exceptions=False, kill_after_timeout=deadline, shell=False
        )
    except (GitCommandError, GitCommandNotFound, OSError) as error:
        raise Temporary(f"{settings.git}: cannot be started; is git installed?") from error
    if code and corrupt(str(errors)):
        raise CorruptMirror(scrub(str(errors)))
    if code not in (0, 1):
        raise Temporary(f"git {arguments[0]}: failed ({code}): {scrub(str(errors))}")
    return int(code), str(output)
