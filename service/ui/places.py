"""Repositories and clusters: how they are, and since when."""

from flask import Response

from driftline.adapters.store import clusters, repositories
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired.urls import shown_url
from service.auth.guard import allowed
from service.security import safe_url
from service.ui.page import PAGE, argument, here, page


def show_repositories() -> Response:
    """The repositories that the reader may see."""
    after = argument("after", 2000)
    with here().store.read() as db:
        everything = repositories.everything(db)
    seen = [row for row in everything if row.url_normal > after and _may_repository(row)]
    return page(
        "repositories.html",
        found=[(row, shown_url(row.url), safe_url(row.url) or "") for row in seen[:PAGE]],
        next_after=seen[PAGE - 1].url_normal if len(seen) > PAGE else "",
        public_url=here().settings.public_url.rstrip("/"),
    )


def show_clusters() -> Response:
    """The clusters that the reader may see."""
    with here().store.read() as db:
        everything = clusters.everything(db)
    return page("clusters.html", found=[row for row in everything if _may_cluster(row)])


def _may_repository(row: RepositoryRow) -> bool:
    return allowed("repositories", "get", f"{row.project}/{row.url}" if row.project else row.url)


def _may_cluster(row: ClusterRow) -> bool:
    # Policies name a cluster by its URL, as Argo CD's do, or by its name.
    return allowed("clusters", "get", row.server) or allowed("clusters", "get", row.name)
