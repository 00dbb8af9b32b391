"""The only place where git's command lines and environment are made.

No text of a user stands on a command line unless it was checked, and then behind `--end-of-options`. URLs, credentials
and everything else that belongs to a repository reach git through `GIT_CONFIG_*` variables.
"""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from driftline.adapters.git.settings import GitSettings

REMOTE = "origin"
"""The name under which git knows the one remote; its URL comes by the environment."""

_HARD = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.askPass": "",
    "credential.helper": "",
    "fetch.recurseSubmodules": "false",
    "fetch.writeCommitGraph": "false",
    "gc.auto": "0",
    "gc.autoDetach": "false",
    "http.followRedirects": "false",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.ssh.allow": "always",
    "protocol.version": "2",
    # Bitmaps serve fetches from us, and cannot be made where contents are missing on purpose.
    "repack.writeBitmaps": "false",
    "submodule.recurse": "false",
    "transfer.fsckObjects": "true",
    # Harmless slips of old tools that are in the history of many repositories, and cannot be repaired there.
    "fetch.fsck.zeroPaddedFilemode": "warn",
    "fetch.fsck.missingSpaceBeforeDate": "warn",
    "fetch.fsck.badTimezone": "warn",
    "fetch.fsck.missingNameBeforeEmail": "warn",
}
# Of the environment only what finds programs, proxies and certificates; above all nothing that starts with GIT_.
_INHERITED = (
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
)


def command_line(settings: GitSettings, git_dir: Path | None, *arguments: str) -> list[str]:
    """The whole argv of one git command. `arguments` begin with the sub-command."""
    line = [shutil.which(settings.git) or settings.git, "--no-replace-objects"]
    if git_dir is not None:
        line.append(f"--git-dir={git_dir}")
    for name, value in hard_settings(settings).items():
        line += ["-c", f"{name}={value}"]
    return [*line, *arguments]


def hard_settings(settings: GitSettings) -> dict[str, str]:
    """The configuration that nothing in a repository or on the machine can override."""
    return {
        **_HARD,
        "protocol.http.allow": "always" if settings.allow_http else "never",
        "protocol.file.allow": "always" if settings.allow_file else "never",
        "http.lowSpeedLimit": str(settings.low_speed_limit),
        "http.lowSpeedTime": str(int(settings.low_speed_time.total_seconds())),
    }


def environment(home: Path, config: Mapping[str, str] | None = None) -> dict[str, str]:
    """The whole environment of one git command: no user's or system's configuration, no prompts, English messages.

    `config` is passed as `GIT_CONFIG_*` variables: readable by this user's processes only, never written down.
    """
    variables = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    variables |= {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_OPTIONAL_LOCKS": "0",
    }
    entries = list((config or {}).items())
    variables["GIT_CONFIG_COUNT"] = str(len(entries))
    for number, (name, value) in enumerate(entries):
        variables[f"GIT_CONFIG_KEY_{number}"] = name
        variables[f"GIT_CONFIG_VALUE_{number}"] = value
    return variables


def local_command_line(settings: GitSettings, git_dir: Path, home: Path, arguments: Sequence[str]) -> list[str]:
    """A command that touches no remote, with its environment in front of it, for callers that cannot clear theirs."""
    cleared = [f"{name}={value}" for name, value in environment(home).items()]
    return ["/usr/bin/env", "-i", *cleared, *command_line(settings, git_dir, *arguments)]
