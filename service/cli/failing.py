"""How commands fail: one line on standard error, the object first, and exit code 1. No traceback is for people."""

import os
import sys
from collections.abc import Sequence

import click

DIFFERENT = 2
"""Exit code of `diff` and `plan` where there is something to do."""


class Problem(click.ClickException):
    """A failure that was understood. `str()` is the line that people read."""

    exit_code = 1


class Different(Exception):
    """Ends a command with the exit code for 'there are differences'."""


def code_of(command: click.Command, arguments: Sequence[str] | None) -> int:
    """Run a command and return its exit code."""
    try:
        found = command.main(
            args=None if arguments is None else list(arguments), prog_name="driftline", standalone_mode=False
        )
    except Different:
        return DIFFERENT
    except click.exceptions.Exit as ended:
        return ended.exit_code
    except click.Abort:
        _say("aborted")
        return 1
    except click.UsageError as wrong:
        # click's own code for this is 2, which means "different" here.
        wrong.show()
        return 1
    except click.ClickException as problem:
        _say(problem.format_message())
        return 1
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Python would complain once more when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as problem:
        return _other(problem)
    return found if isinstance(found, int) else 0


def _other(problem: Exception) -> int:
    """Failures of the product are for people as they are; anything else is a fault of ours."""
    from driftline.model.errors import Failure

    if isinstance(problem, Failure):
        _say(problem.message)
        return 1
    if os.environ.get("DRIFTLINE_TRACEBACK"):
        raise problem
    _say(f"{type(problem).__name__}: {problem}; DRIFTLINE_TRACEBACK=1 shows where")
    return 1


def _say(text: str) -> None:
    click.echo(f"driftline: {text}", err=True)
