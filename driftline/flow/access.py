"""Open sealed credentials for the moment they are used: the only way from a row to what logs in."""

from collections.abc import Mapping
from typing import Any

import orjson
from sqlalchemy import Connection

from driftline.adapters.sealing import context
from driftline.adapters.store.repositories import RepositoryRow
from driftline.flow.edges import Edges
from driftline.model.access import ClusterAccess, RepositoryAccess

REPOSITORY_FIELDS = ("username", "password", "bearer_token", "ssh_private_key", "proxy", "client_key")
"""What of a repository's access is sealed; the rest is in its options."""

OPEN_FIELDS = (
    "known_hosts",
    "ca",
    "insecure",
    "no_proxy",
    "client_certificate",
    "pass_credentials",
    "plain_http",
)


def repository(db: Connection, edges: Edges, row: RepositoryRow) -> RepositoryAccess:
    """How to reach a repository: its own credentials, else those of the template that covers its URL."""
    holder = row
    if row.credentials is None:
        holder = edges.templates(db).covering(row.url_normal, row.project) or row
    secret: Mapping[str, Any] = {}
    if holder.credentials is not None:
        secret = orjson.loads(
            edges.sealer.open(holder.credentials, context("repository", "credentials", holder.hook_id))
        )
    options = {**(holder.options or {}), **(row.options or {})}
    open_values = {name: options[name] for name in OPEN_FIELDS if name in options}
    return RepositoryAccess(
        url=row.url,
        kind=row.kind,
        identity=holder.hook_id,
        **{name: secret[name] for name in REPOSITORY_FIELDS if name in secret},
        **open_values,
    )


def seal_repository(edges: Edges, access: RepositoryAccess, hook_id: str) -> tuple[bytes | None, dict[str, Any]]:
    """The sealed credentials (None if there are none) and the open options of a repository."""
    secret = {name: getattr(access, name) for name in REPOSITORY_FIELDS if getattr(access, name)}
    options = {name: getattr(access, name) for name in OPEN_FIELDS if getattr(access, name)}
    if not secret:
        return None, options
    return edges.sealer.seal(orjson.dumps(secret), context("repository", "credentials", hook_id)), options


def seal_hook_secret(edges: Edges, secret: str, hook_id: str) -> bytes | None:
    """The sealed secret of a repository's own webhook; None keeps what is there."""
    return edges.sealer.seal(secret.encode(), context("repository", "hook_secret", hook_id)) if secret else None


def hook_secret(edges: Edges, row: RepositoryRow) -> str:
    """The secret of a repository's own webhook, empty if none was set."""
    if row.hook_secret is None:
        return ""
    return edges.sealer.open(row.hook_secret, context("repository", "hook_secret", row.hook_id)).decode()


def seal_cluster(edges: Edges, access: ClusterAccess) -> bytes | None:
    """The sealed access of a cluster, None for the one that we run in."""
    if not access.kubeconfig:
        return None
    return edges.sealer.seal(orjson.dumps({"kubeconfig": access.kubeconfig}), context("cluster", "access", access.name))
