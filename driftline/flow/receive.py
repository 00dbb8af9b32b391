"""Take one webhook delivery: a row, and a fetch of what it is about. Called by the web process; touches no network."""

from driftline.adapters.store import deliveries, repositories
from driftline.adapters.store.deliveries import Receipt
from driftline.adapters.store.repositories import Announced
from driftline.desired import releases, revision, urls
from driftline.flow.edges import Edges
from driftline.flow.subjects import hints
from driftline.model.push import Push


def receive(edges: Edges, push: Push, hook_id: str = "") -> Receipt:
    """Keep a delivery and ask for a fetch of each repository it names, in one transaction; then wake a worker.

    Only refs that some application follows are worth a fetch. Raises Temporary if the database is away.
    """
    with edges.store.write() as db:
        found = repositories.announced(db, _places(push), hook_id)
        followed = [each.id for each in found if _followed(push, each)]
        receipt = deliveries.receive(db, push, hook_id, followed)
    edges.hint(hints(receipt.wake))
    return receipt


def _places(push: Push) -> set[str]:
    """Normalised URLs of the repositories that a delivery may be about.

    What a registry announces (`oci://host/charts/redis`) is a repository itself, or a chart of one of those above it.
    """
    found = {urls.normalise(url) for url in push.repo_urls}
    for url in list(found):
        if url.startswith(urls.OCI_SCHEME):
            parts = url.split("/")
            found |= {"/".join(parts[:length]) + ("/" if length == 3 else "") for length in range(3, len(parts))}
    return found


def _followed(push: Push, row: Announced) -> bool:
    """Whether some application follows one of the refs that a delivery names; of a registry, one of the tags."""
    if row.kind != urls.OCI:
        return any(
            revision.concerns(target.revision, change.ref, push.default_branch, target.tag_prefix)
            for target in row.followed
            for change in push.changes
        )
    below = {urls.normalise(url).removeprefix(row.url_normal).strip("/") for url in push.repo_urls}
    tags = [change.ref.removeprefix(revision.TAGS) for change in push.changes]
    here = [target for target in row.followed if target.chart.lower() in below]
    return any(releases.concerns(target.revision, tag) for target in here for tag in tags)
