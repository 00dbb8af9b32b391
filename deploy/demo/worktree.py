"""The developer's side of a Git host: a work tree to write, commit, tag and push from. Standard library and git."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path


def git_environment(config: Mapping[str, str]) -> dict[str, str]:
    """An environment in which git knows nothing of the user's own settings, plus `config`."""
    names = list(config)
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_AUTHOR_NAME": "Dana Developer",
        "GIT_AUTHOR_EMAIL": "dana@example.test",
        "GIT_COMMITTER_NAME": "Dana Developer",
        "GIT_COMMITTER_EMAIL": "dana@example.test",
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": str(len(names)),
    }
    for number, name in enumerate(names):
        environment[f"GIT_CONFIG_KEY_{number}"] = name
        environment[f"GIT_CONFIG_VALUE_{number}"] = config[name]
    return environment


def git(*arguments: str, at: Path | None = None, config: Mapping[str, str] | None = None, stdin: str = "") -> str:
    """Run git and return what it printed. Raises RuntimeError with its complaint."""
    done = subprocess.run(
        ["git", *arguments], cwd=at, env=git_environment(config or {}), input=stdin, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class WorkTree:
    """A clone in `directory`. `config` reaches git by the environment: credentials are never written down."""

    directory: Path
    config: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def create(cls, directory: Path, url: str, config: Mapping[str, str] | None = None) -> "WorkTree":
        """Start a work tree on branch `main` whose `origin` is `url`. Nothing is fetched."""
        directory.mkdir(parents=True, exist_ok=True)
        tree = cls(directory, config or {})
        tree.git("init", "--quiet", "--initial-branch=main")
        tree.git("remote", "add", "origin", url)
        return tree

    @classmethod
    def temporary(cls, url: str, config: Mapping[str, str] | None = None) -> "WorkTree":
        """The same in a new directory under the system's temporary one; `remove` deletes it."""
        return cls.create(Path(tempfile.mkdtemp(prefix="worktree-")), url, config)

    def git(self, *arguments: str) -> str:
        return git(*arguments, at=self.directory, config=self.config)

    def write(self, files: Mapping[str, str | bytes | None]) -> "WorkTree":
        """Write files by their path; None deletes one."""
        for name, content in files.items():
            path = self.directory / name
            if content is None:
                path.unlink()
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return self

    def commit(self, message: str = "change", files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Commit everything, after writing `files`; return the commit's id."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def push(self, *refspecs: str, force: bool = False) -> None:
        """Push the current branch, or `refspecs` (`:refs/heads/x` deletes)."""
        self.git("push", "--quiet", *(["--force"] if force else []), "origin", *(refspecs or ("HEAD",)))

    def tag(self, name: str, annotated: bool = False, move: bool = False) -> None:
        options = (["--annotate", "--message", name] if annotated else []) + (["--force"] if move else [])
        self.git("tag", *options, name)

    def branch(self, name: str) -> None:
        """Switch to a branch, made here if it is new."""
        known = self.git("branch", "--list", "--format=%(refname:short)").splitlines()
        self.git("checkout", "--quiet", *([] if name in known else ["-b"]), name)

    def rewrite(self, message: str = "rewritten", files: Mapping[str, str | bytes | None] | None = None) -> str:
        """Replace the last commit by another; a push of it has to be forced."""
        self.write(files or {})
        self.git("add", "--all")
        self.git("commit", "--quiet", "--amend", "--allow-empty", "--message", message)
        return self.git("rev-parse", "HEAD")

    def remove(self) -> None:
        shutil.rmtree(self.directory, ignore_errors=True)
