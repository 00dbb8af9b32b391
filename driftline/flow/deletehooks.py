"""The hooks of an application's deletion: PreDelete before anything goes, PostDelete once all is gone (HOOK-06)."""

from dataclasses import dataclass, replace
from datetime import timedelta

from driftline.adapters.store import applications, jobs
from driftline.flow import desire
from driftline.flow.deletion import Deletion, operation_of
from driftline.flow.edges import Edges
from driftline.flow.hooking import Hooks, abandon
from driftline.flow.reading import Reader
from driftline.flow.situation import Situation
from driftline.model.errors import Permanent
from driftline.model.plan import Change, Op, Phase
from driftline.model.sync import ObjectResult
from driftline.sync import texts
from driftline.sync.given import Wanted
from driftline.sync.hooks import Hook, HookSeen, HookState, due, expand, outlives

NAMES = {Phase.PRE_SYNC: "PreDelete", Phase.POST_SYNC: "PostDelete"}

FIRST_WAIT = timedelta(seconds=15)
LONGEST_WAIT = timedelta(minutes=10)


class HookFailed(Permanent):
    """A hook of a deletion has failed. It is made anew after `delay`."""

    def __init__(self, message: str, delay: timedelta) -> None:
        super().__init__(message)
        self.delay = delay


@dataclass
class DeletionHooks:
    """The hooks of one deletion, from the manifests that were deployed last: no Git host is asked."""

    edges: Edges
    situation: Situation
    deletion: Deletion
    known: tuple[Hook, ...] = ()
    reader: Reader | None = None

    @classmethod
    def of(cls, edges: Edges, situation: Situation) -> "DeletionHooks":
        """Read them. Raises Failure if the stored render cannot be read or the cluster does not answer."""
        row, deletion = situation.row, Deletion.of(situation.row)
        if not deletion_hooks(row.summary) or row.render_id is None or situation.cluster is None:
            return cls(edges, situation, deletion)
        cluster = edges.cluster(situation.cluster)
        target = edges.target(cluster, situation.marks)
        wish = desire.stored_wish(edges, situation.app, row.render_id, row.revisions or (), target)
        wanted = [Wanted(body, "") for body in wish.desired.hooks]
        revision = (row.revisions or [""])[0]
        known = expand(wanted, revision, deletion.at, deleting=True)
        return cls(edges, situation, deletion, known, Reader(cluster, target.kinds, edges.pool))

    def run(self, phase: Phase) -> str:
        """Take the hooks of a phase further: what they wait for, in words, or empty once all have succeeded.

        Raises Permanent for one that has failed: it is deleted, so that the next look can make it anew.
        """
        while hooks := due(self.known, phase, self.deletion.hooks):
            before = self.deletion.hooks
            old = [hook.key for hook in hooks if not self._make(hook)]
            self._follow()
            failed = [hook for hook in hooks if self._seen(hook).state is HookState.FAILED]
            if failed:
                raise self._give_up(failed[0])
            if self.deletion.hooks != before:
                self._save()
            if old:
                return texts.deletion(old)
            running = [hook.key for hook in hooks if self._seen(hook).state is HookState.RUNNING]
            if running:
                return texts.hook_completion(running)
        return ""

    def clear_away(self) -> None:
        """Delete the hooks that do not say otherwise, and let go of the others."""
        if self.reader is None:
            return
        for hook in self.known:
            if (hook.phase, hook.key) in self.deletion.hooks:
                abandon(self.reader, self._operation, [hook.key], keep=outlives(hook.body))

    @property
    def _operation(self) -> str:
        return operation_of(self.situation.row)

    def _keeper(self) -> Hooks:
        assert self.reader is not None
        known = {(each.phase, each.key): each for each in self.known}
        mark, situation = f"{self._operation}/{self.deletion.attempt}", self.situation
        return Hooks(self.reader, mark, known, situation.row.name, situation.marks.installation)

    def _seen(self, hook: Hook) -> HookSeen:
        return self.deletion.hooks.get((hook.phase, hook.key), HookSeen(HookState.RUNNING))

    def _make(self, hook: Hook) -> bool:
        """Create a hook that is not there yet. False: one that an older run left has to go first."""
        if (hook.phase, hook.key) in self.deletion.hooks:
            return True
        made = self._keeper().make(Change(Op.HOOK, hook.key), hook.phase, self.edges.now())
        if isinstance(made, ObjectResult):
            raise Permanent(made.message)
        if made is not None:
            self.deletion = replace(self.deletion, hooks={**self.deletion.hooks, (hook.phase, hook.key): made})
        return made is not None

    def _follow(self) -> None:
        self.deletion = replace(self.deletion, hooks=self._keeper().follow(self.deletion.hooks))

    def _give_up(self, hook: Hook) -> HookFailed:
        assert self.reader is not None
        why = self._seen(hook).message
        abandon(self.reader, self._operation, [hook.key])
        left = {place: seen for place, seen in self.deletion.hooks.items() if place != (hook.phase, hook.key)}
        self.deletion = replace(self.deletion, hooks=left, attempt=self.deletion.attempt + 1)
        self._save()
        name = NAMES[hook.phase]
        return HookFailed(
            f"{hook.key}: the {name} hook failed{': ' if why else ''}{why}; nothing more is deleted. It runs again by "
            "itself, and at once when the deletion is asked for again; cascade=false lets everything be",
            min(FIRST_WAIT * 2**self.deletion.attempt, LONGEST_WAIT),
        )

    def _save(self) -> None:
        with self.edges.store.write() as db:
            applications.set_status(db, self.situation.row.id, deletion=self.deletion.to_json())
            jobs.guard(db, self.situation.job)


def deletion_hooks(summary: object) -> tuple[str, ...]:
    """The kinds of hooks that the last render had for a deletion: `PreDelete`, `PostDelete`."""
    found = summary.get("deletionHooks") if isinstance(summary, dict) else None
    return tuple(str(each) for each in found or ())
