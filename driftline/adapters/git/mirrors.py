"""The Git adapter as the rest of the product sees it: mirrors of repositories, and the files of their commits."""

import hmac
import secrets
import threading
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from driftline.adapters.git.credentials import check_access
from driftline.adapters.git.database import Database
from driftline.adapters.git.fetching import Fetched, Fetching, check_refs, missing_contents
from driftline.adapters.git.housekeeping import Keeper, Report
from driftline.adapters.git.local import run_local
from driftline.adapters.git.mirror import Mirror
from driftline.adapters.git.objects import Readers
from driftline.adapters.git.parse import CommitInfo, parse_commit
from driftline.adapters.git.refs import KEEP
from driftline.adapters.git.remote import Reachable, Remote
from driftline.adapters.git.settings import GitSettings
from driftline.adapters.git.tree import GitTree
from driftline.adapters.once import made_once
from driftline.desired.revision import full_id, short_id
from driftline.desired.urls import normalise, shown_url
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent


class Mirrors:
    """All mirrors under `root`, a directory on a local disk that several processes of one machine may share.

    Safe for threads. Make it after a fork, or before without using it. Every method that takes an `access` raises
    Permanent for a URL that is not allowed.
    """

    def __init__(self, root: Path, settings: GitSettings | None = None) -> None:
        self.settings = settings or GitSettings()
        self._root = root
        self._home, self._scratch = root / "home", root / "scratch"
        for directory in (root, self._home, self._scratch):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._key = made_once(root / "key", lambda: secrets.token_bytes(32))
        self._readers = Readers(self.settings, self._home)
        self._guard = threading.Lock()
        self._mirrors: dict[str, Mirror] = {}
        self._databases: dict[str, Database] = {}

    def fetch(self, access: RepositoryAccess, refs: Sequence[str]) -> Fetched:
        """Fetch full refs, stems (`refs/tags/*`), `HEAD` or commit ids, in one git process if all is well.

        A ref that does not exist is left out of the answer, and forgotten if it was known. Callers that wait for the
        same refs share a fetch; only the one that ran it hears of `updates`. Raises Temporary (with the delay that the
        host asked for) or Permanent; nothing known is lost by a failure.
        """
        mirror = self._mirror(access)
        asked = check_refs(refs, shown_url(access.url))
        return self._fetching(access, mirror, asked).run()

    def known(self, access: RepositoryAccess) -> Fetched | None:
        """All refs as they were last fetched, without network; None if the repository never was."""
        mirror = self._mirror(access)
        if not mirror.exists or not mirror.state().complete:
            return None
        return self._fetching(access, mirror, ("HEAD", "refs/heads/*", "refs/tags/*")).read()

    def tree(self, access: RepositoryAccess, commit: str) -> GitTree:
        """The files of a commit that was fetched. Raises Permanent if it is not there, Temporary without a mirror."""
        mirror = self._mirror(access)
        self._check_commit(access, commit)
        mirror.touch()
        return GitTree(self._database(access, mirror), commit, self._bringer(access, mirror))

    def commit_info(self, access: RepositoryAccess, commit: str) -> CommitInfo:
        """Author, time and message of a commit that was fetched."""
        self._check_commit(access, commit)
        return parse_commit(self._database(access, self._mirror(access)).commit(commit))

    def contains(self, access: RepositoryAccess, commit: str) -> bool:
        """Whether the commit can be read without the host."""
        mirror = self._mirror(access)
        self._check_commit(access, commit)
        return mirror.exists and self._database(access, mirror).contains(commit)

    def complete(self, access: RepositoryAccess, short: str) -> str | None:
        """The whole id of a fetched commit from 7 digits or more; None if there is none, Permanent if several."""
        mirror = self._mirror(access)
        if not short_id(short):
            raise Permanent(f"{shown_url(access.url)}: {short[:80]!r} is no abbreviated commit id")
        return self._database(access, mirror).complete(short) if mirror.exists else None

    def keep(self, access: RepositoryAccess, commit: str) -> None:
        """Keep a commit readable whatever happens at the host, until `unkeep`. Raises Permanent if it is not here."""
        mirror = self._mirror(access)
        if not self.contains(access, commit):
            raise Permanent(f"{shown_url(access.url)}: there is no commit {commit[:12]} to keep")
        if not mirror.refs.read([KEEP + commit]):
            mirror.refs.write(KEEP + commit, commit)

    def unkeep(self, access: RepositoryAccess, commit: str) -> None:
        """Let a kept commit go with the next clean-up, unless a ref leads to it."""
        mirror = self._mirror(access)
        self._check_commit(access, commit)
        if mirror.refs.read([KEEP + commit]):
            self._local(mirror)(["update-ref", "-d", "--end-of-options", KEEP + commit])

    def version(self) -> str:
        """What git says of itself. Raises Temporary if it cannot be started."""
        return run_local(self.settings, self._home, self._home, ["version"])[1]

    def check(self, access: RepositoryAccess) -> Reachable:
        """Ask the host whether this repository can be reached like this. An empty repository is fine.

        Raises Temporary or Permanent, which names the cause: host, authentication, host key, certificate, repository.
        """
        check_access(access, self.settings)
        return self._remote(access).look()

    def housekeeping(self) -> Report:
        """Remove leftovers, pack what is due, drop damaged mirrors and, above the quota, the least used ones."""
        self._readers.reap()
        keeper = Keeper(self._root, self._home, self._scratch, self.settings, self._by_name, self._dropped)
        return keeper.run()

    def close(self) -> None:
        """End the object readers of this process."""
        self._readers.close()

    def _mirror(self, access: RepositoryAccess) -> Mirror:
        check_access(access, self.settings)
        return self._by_name(self._name(access))

    def _name(self, access: RepositoryAccess) -> str:
        """Which mirror serves this access: one with other credentials may see another repository under the same URL."""
        identity = access.identity or "\0".join(
            (access.url, access.username, access.password, access.bearer_token, access.ssh_private_key)
        )
        # Keyed, so that a name tells nothing about a weak password.
        text = f"{normalise(access.url)}\0{identity}".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, text, "sha256").hex()[:32]

    def _by_name(self, name: str) -> Mirror:
        with self._guard:
            return self._mirrors.setdefault(name, Mirror(self._root, name))

    def _database(self, access: RepositoryAccess, mirror: Mirror) -> Database:
        with self._guard:
            if mirror.name not in self._databases:
                self._databases[mirror.name] = Database(mirror.git_dir, self._readers, shown_url(access.url))
            return self._databases[mirror.name]

    def _dropped(self, mirror: Mirror) -> None:
        self._readers.close(mirror.git_dir)

    def _remote(self, access: RepositoryAccess) -> Remote:
        return Remote(access, self.settings, self._home, self._scratch)

    def _fetching(self, access: RepositoryAccess, mirror: Mirror, asked: tuple[str, ...]) -> Fetching:
        return Fetching(mirror, self._database(access, mirror), self._remote(access), asked, self._local(mirror))

    def _local(self, mirror: Mirror) -> Callable[[Sequence[str]], tuple[int, str]]:
        return lambda arguments: run_local(self.settings, mirror.git_dir, self._home, arguments)

    def _bringer(self, access: RepositoryAccess, mirror: Mirror) -> Callable[[Collection[str]], None] | None:
        if not mirror.state().partial:
            return None

        def bring(oids: Collection[str]) -> None:
            with mirror.held() as held:
                assert held is not None
                held.recover()
                missing_contents(self._remote(access), held, oids)

        return bring

    def _check_commit(self, access: RepositoryAccess, commit: str) -> None:
        if not full_id(commit):
            raise Permanent(f"{shown_url(access.url)}: {commit[:80]!r} is no commit id")
