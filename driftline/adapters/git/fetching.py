"""One fetch: which refs to ask for, what to do when git refuses, and what has changed afterwards."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from driftline.adapters.git.command import REMOTE
from driftline.adapters.git.database import Database
from driftline.adapters.git.errors import clashing_ref, corrupt, explain, missing_ref, not_offered, other_hash
from driftline.adapters.git.local import CorruptMirror
from driftline.adapters.git.mirror import Held, Mirror, now
from driftline.adapters.git.processes import Done
from driftline.adapters.git.refs import HEAD_REF, KEEP, OWN, REWRITTEN
from driftline.adapters.git.remote import Remote, TooLarge
from driftline.desired.revision import full_id, ref_name
from driftline.model.errors import Permanent, Temporary

_ATTEMPTS = 12
_PACK_ABOVE = 500
_OPTIONS = (
    "fetch",
    "--quiet",
    "--force",
    "--atomic",
    "--prune",
    "--no-tags",
    "--no-write-fetch-head",
    "--no-auto-maintenance",
    "--no-recurse-submodules",
    "--no-show-forced-updates",
)
_PARTIAL = {f"remote.{REMOTE}.promisor": "true", f"remote.{REMOTE}.partialclonefilter": "blob:none"}


@dataclass(frozen=True)
class RefUpdate:
    """A ref that a fetch has moved; commits, tags peeled. `before` is empty for a new ref, `after` for a deleted one.

    `rewritten`: what was there is not part of the new history (force-push), or a tag points elsewhere.
    """

    ref: str
    before: str
    after: str
    rewritten: bool = False


@dataclass(frozen=True)
class Fetched:
    """The refs that were asked for and exist, as the host has them now: full name -> commit, tags peeled.

    `head` is the commit of the default branch, empty if it was not asked for or there is none; `default_branch` its
    full name, empty if unknown. `updates` says what this very fetch has moved.
    """

    refs: Mapping[str, str] = field(default_factory=dict)
    head: str = ""
    default_branch: str = ""
    updates: tuple[RefUpdate, ...] = ()


@dataclass
class Fetching:
    """A fetch of `asked` (refs, stems with `*`, `HEAD`, commit ids) into a mirror; see `run`."""

    mirror: Mirror
    database: Database
    remote: Remote
    asked: tuple[str, ...]
    local: Callable[[Sequence[str]], tuple[int, str]]

    def run(self) -> Fetched:
        """Fetch, or share the fetch of another process that began after this was asked for."""
        asked_at = now()
        with self.mirror.held() as held:
            assert held is not None
            if self.mirror.exists and set(self.asked) <= held.fetched_since(asked_at):
                return self.read()
            began = now()
            result = self._fetch(held)
            held.note_fetch(began, self.asked)
            self.mirror.touch()
            return result

    def read(self, updates: tuple[RefUpdate, ...] = ()) -> Fetched:
        """The asked refs as the mirror has them, with no network."""
        default = self.mirror.state().default_branch
        refs = self._peel(self.mirror.refs.read(_names(self.asked, default)))
        noted = refs.pop(HEAD_REF, "")
        # The branch itself is newer than our note of HEAD when only the branch was fetched.
        return Fetched(refs, refs.get(default, noted), default, updates)

    def _fetch(self, held: Held) -> Fetched:
        held.recover()
        try:
            return self._into_mirror(held)
        except CorruptMirror as error:
            # A mirror holds nothing that the host has not: a new one is cheaper than a repair. Once.
            held.drop()
            try:
                return self._into_mirror(held)
            except CorruptMirror:
                raise Temporary(f"{self.remote.shown}: the new mirror is damaged too; check the disk") from error

    def _into_mirror(self, held: Held) -> Fetched:
        if not self.mirror.exists:
            self._create(held, "sha1")
        default = self.mirror.state().default_branch
        names = _names(self.asked, default)
        before = self.mirror.refs.read(names)
        self._transfer(held, names, before)
        after = self.mirror.refs.read(names)
        if not self.mirror.state().complete:
            held.remember(complete=True)
        if "HEAD" in self.asked:
            after |= self._learn_default(held, after)
        if len(after.keys() - before.keys()) > _PACK_ABOVE:
            # One file instead of thousands: every later read of the refs is faster.
            self.local(["pack-refs", "--all"])
        return self.read(self._updates(before, after))

    def _create(self, held: Held, hash_name: str) -> None:
        self.local(["init", "--quiet", "--bare", "--template=", f"--object-format={hash_name}"])
        held.remember(url=self.remote.normalised)

    def _transfer(self, held: Held, names: Sequence[str], known: Mapping[str, str]) -> None:
        """Run git fetch until it has got all of `names` that exist; once is the rule."""
        wanted = [name for name in names if not (full_id(name) and self.database.contains(name))]
        for _ in range(_ATTEMPTS):
            if not wanted:
                return
            try:
                done = self._once(held, wanted, known)
            except TooLarge:
                self._restart(held, partial=True)
                continue
            if done.code == 0:
                return
            wanted = self._after_refusal(held, done.errors, wanted)
        raise Temporary(f"{self.remote.shown}: its refs change faster than they can be fetched")

    def _once(self, held: Held, wanted: Sequence[str], known: Mapping[str, str]) -> Done:
        state = self.mirror.state()
        options = [*_OPTIONS]
        if state.partial:
            # A push's new contents come along at once; the history behind a ref that is new here would be too much.
            options.append("--no-filter" if all(name in known for name in wanted) else "--filter=blob:none")
        specs = [refspec(name, name in known) for name in wanted]
        arguments = [*options, "--end-of-options", REMOTE, *specs]
        return self.remote.transfer(held, arguments, _PARTIAL if state.partial else {}, first=not state.complete)

    def _after_refusal(self, held: Held, errors: str, wanted: Sequence[str]) -> list[str]:
        """What is left to ask for after git has refused; raises what no other question would change."""
        if (ref := missing_ref(errors)) and ref in wanted:
            self._forget(ref)
            return [name for name in wanted if name != ref]
        if missing_ref(errors) == "HEAD":
            self._forget(HEAD_REF)
            return [name for name in wanted if name != HEAD_REF]
        if clash := clashing_ref(errors):
            self._forget_clash(*clash)
            return list(wanted)
        ids = [name for name in wanted if full_id(name)]
        if ids and not_offered(errors):
            # Old servers hand out commits only by a ref: take all refs, one of them may lead there.
            return [name for name in wanted if name not in ids] + ["refs/heads/*", "refs/tags/*"]
        if other_hash(errors) and not self.mirror.state().complete:
            held.drop()
            self._create(held, "sha256")
            return list(wanted)
        if corrupt(errors):
            raise CorruptMirror
        raise explain(self.remote.shown, errors, self.remote.secrets)

    def _restart(self, held: Held, partial: bool) -> None:
        held.drop()
        self._create(held, "sha1")
        held.remember(partial=partial)

    def _forget(self, ref: str) -> None:
        """Delete a ref that the host says it has not."""
        if self.mirror.refs.read([ref]):
            self.local(["update-ref", "-d", "--end-of-options", ref])

    def _forget_clash(self, ref: str, below: bool) -> None:
        # `a` and `a/b` cannot both be: since the host has the one, it no longer has the other.
        for name in self.mirror.refs.read([f"{ref}/*"]) if below else [ref]:
            self._forget(name)

    def _learn_default(self, held: Held, refs: Mapping[str, str]) -> dict[str, str]:
        """Ask for the default branch's name when what we know does not fit what HEAD is; return it if it is new."""
        known, head = self.mirror.state().default_branch, refs.get(HEAD_REF, "")
        if not head or refs.get(known) == head:
            return {}
        branch = self.remote.look().default_branch
        if branch and branch != known and branch in check_refs([branch], self.remote.shown):
            held.remember(default_branch=branch)
            self._transfer(held, [branch], refs)
        return self.mirror.refs.read([branch]) if branch else {}

    def _updates(self, before: Mapping[str, str], after: Mapping[str, str]) -> tuple[RefUpdate, ...]:
        names = [name for name in before.keys() | after.keys() if name != HEAD_REF and not name.startswith(KEEP)]
        moved = sorted(name for name in names if before.get(name) != after.get(name))
        old = self._peel({name: before[name] for name in moved if name in before})
        new = self._peel({name: after[name] for name in moved if name in after})
        return tuple(self._update(name, old.get(name, ""), new.get(name, "")) for name in moved if name in old | new)

    def _update(self, name: str, before: str, after: str) -> RefUpdate:
        rewritten = bool(before and after) and (name.startswith("refs/tags/") or not self._descends(before, after))
        if rewritten or (before and not after):
            # Nothing points there any more: without a name of its own the next clean-up would take it away.
            self.mirror.refs.write(f"{REWRITTEN}{int(time.time())}-{before}", before)
        return RefUpdate(name, before, after, rewritten)

    def _descends(self, older: str, newer: str) -> bool:
        answer = self.database.descends(older, newer)
        if answer is None:
            answer = self.local(["merge-base", "--is-ancestor", "--end-of-options", older, newer])[0] == 0
        return answer

    def _peel(self, refs: dict[str, str]) -> dict[str, str]:
        return self.database.peel(refs, dict(self.mirror.refs.peeled()))


def check_refs(refs: Iterable[str], shown: str) -> tuple[str, ...]:
    """The refs to ask for, without doubles. Raises Permanent for anything but full refs, stems, HEAD and commit ids."""
    asked = tuple(dict.fromkeys(refs))
    for ref in asked:
        name = ref.removesuffix("*")
        full = ref.startswith("refs/") and "/" in ref[5:] and ref_name(name.removesuffix("/"))
        if ref.startswith(OWN):
            raise Permanent(f"{shown}: {ref[:80]!r} is a name that mirrors use themselves")
        if not (ref == "HEAD" or full_id(ref) or full):
            raise Permanent(f"{shown}: {ref[:80]!r} is no full ref; give refs/heads/NAME, refs/tags/NAME or HEAD")
    return asked


def refspec(name: str, known: bool) -> str:
    """How one wanted name is put to git. A ref that may not exist is put as a pattern, which may match nothing.

    Git fails as a whole if one ref of several is missing, and matches a `*` in the middle of a name with nothing too:
    `refs/heads/ma*in` brings `main` if there is one. What else it may bring does no harm.
    """
    if name == HEAD_REF:
        return f"+HEAD:{HEAD_REF}"
    if full_id(name):
        return f"+{name}:{KEEP}{name}"
    if known or name.endswith("*"):
        return f"+{name}:{name}"
    start = name.rindex("/") + 1
    middle = start + max((len(name) - start) // 2, 0)
    pattern = f"{name[:middle]}*{name[middle:]}"
    return f"+{pattern}:{pattern}"


def missing_contents(remote: Remote, held: Held, oids: Collection[str]) -> None:
    """Fetch the named objects into a partial mirror, all in one request. Raises Temporary or Permanent."""
    arguments = [*_OPTIONS, "--filter=blob:none", "--stdin", "--end-of-options", REMOTE]
    config = {**_PARTIAL, "fetch.negotiationAlgorithm": "noop"}
    done = remote.transfer(held, arguments, config, first=False, stdin="\n".join(oids).encode() + b"\n")
    if done.code:
        raise explain(remote.shown, done.errors, remote.secrets)


def promisor_options() -> list[str]:
    """Options that tell git's clean-up that a partial mirror is so on purpose."""
    return [word for name, value in _PARTIAL.items() for word in ("-c", f"{name}={value}")]


def _names(asked: Sequence[str], default: str) -> list[str]:
    """What is put to git for `asked`: the default branch comes along with HEAD, so that both stay in step."""
    names = [HEAD_REF if name == "HEAD" else name for name in asked]
    if "HEAD" in asked and default and default not in names:
        names.append(default)
    return names
