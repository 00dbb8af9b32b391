"""From what a source follows to the one commit that our mirror has for it. Called by flow.fetch and flow.desire."""

from driftline.adapters.git import Fetched
from driftline.desired import revision
from driftline.desired.revision import Tracked
from driftline.flow.edges import Edges
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent


class UnknownCommit(Permanent):
    """A short commit id that no commit of this machine's mirror begins with."""


def commit_of(edges: Edges, access: RepositoryAccess, known: Fetched, tracked: Tracked) -> str:
    """The whole id of the commit that `tracked` stands for, by the refs that are known of its repository. No network.

    Raises Permanent for what no ref fits and for a short id of several commits, UnknownCommit for one of none.
    """
    found = revision.resolve(tracked.revision, known.refs, known.head, tracked.tag_prefix)
    if not found.abbreviated:
        return found.commit
    try:
        whole = edges.mirrors.complete(access, found.commit)
    except Permanent:
        raise Permanent(
            f"targetRevision {tracked.revision!r}: ambiguous: several objects begin like this; write more of it"
        ) from None
    if whole is None:
        raise UnknownCommit(
            f"targetRevision {tracked.revision!r}: unable to resolve to a commit: no ref has that name, and no commit "
            "of a branch or tag begins like this; push it, or write the whole id"
        )
    return whole


def commit_fetched(edges: Edges, access: RepositoryAccess, known: Fetched, tracked: Tracked) -> str:
    """The same where another machine may have done the fetch: then this one's mirror asks the host, once."""
    try:
        return commit_of(edges, access, known, tracked)
    except UnknownCommit:
        edges.mirrors.fetch(access, revision.wanted_refs(tracked.revision, tracked.tag_prefix))
        return commit_of(edges, access, known, tracked)
