"""Take one webhook delivery: a row, and a fetch of what it is about. Called by the web process; touches no network."""

from driftline.adapters.store import applications, deliveries, repositories
from driftline.adapters.store.deliveries import Receipt
from driftline.desired import revision, urls
from driftline.desired.revision import Tracked
from driftline.flow.edges import Edges
from driftline.flow.subjects import hints
from driftline.model.push import Push


def receive(edges: Edges, push: Push, hook_id: str = "") -> Receipt:
    """Keep a delivery and ask for a fetch of each repository it names, in one transaction; then wake a worker.

    Only refs that some application follows are worth a fetch. Raises Temporary if the database is away.
    """
    with edges.store.write() as db:
        found = repositories.by_urls(db, sorted({urls.normalise(url) for url in push.repo_urls}))
        if hook_id:
            # The secret of one hook proves pushes of its own repository only.
            found = [each for each in found if each.hook_id == hook_id]
        followed = [each.id for each in found if _followed(push, applications.targets_of(db, each.id))]
        receipt = deliveries.receive(db, push, hook_id, followed)
    edges.hint(hints(receipt.wake))
    return receipt


def _followed(push: Push, targets: list[Tracked]) -> bool:
    return any(
        revision.concerns(target.revision, change.ref, push.default_branch, target.tag_prefix)
        for target in targets
        for change in push.changes
    )
