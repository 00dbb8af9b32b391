"""Hooks that open syncs wait for: what a watch has to follow besides the inventory. Called by watch and flow."""

from sqlalchemy import Connection, select

from driftline.adapters.store.tables.applications import OPEN_SYNC, application, sync


def awaited(db: Connection, cluster_id: int) -> dict[str, int]:
    """Key id -> application id of every hook that an open sync in a cluster waits for."""
    query = (
        select(sync.c.application_id, sync.c.waiting)
        .join(application, application.c.id == sync.c.application_id)
        .where(OPEN_SYNC, sync.c.stage == "waiting", application.c.cluster_id == cluster_id)
    )
    found = db.execute(query).all()
    return {key_id: number for number, waiting in found for key_id in (waiting or {}).get("hooks", ())}
