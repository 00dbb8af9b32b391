"""Drift of all applications that the reader may see: what is out of line now, and what was."""

from dataclasses import dataclass
from typing import Any

from flask import Response, request

from driftline.adapters.store import applications, clusters, drifts
from driftline.adapters.store.applications import ApplicationRow
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.drifts import DriftRow
from service.ui.page import PAGE, address, argument, fragment, here, may, number_argument, page

MOST_READS = 20
"""Pages that are read for one page of people who may see few applications."""


@dataclass(frozen=True)
class Found:
    """One interval with the application that it belongs to."""

    interval: DriftRow
    app: ApplicationRow


def show() -> Response:
    """The page."""
    return page("drift.html", **_seen())


def live() -> Response:
    """The list alone."""
    return fragment("drift_list.html", **_seen())


def _seen() -> dict[str, Any]:
    ended = argument("show") == "all"
    found, older = _read(number_argument("before"), only_open=not ended)
    with here().store.read() as db:
        known: list[ClusterRow] = clusters.everything(db)
    return {
        "found": found,
        "older": older,
        "ended": ended,
        "clusters": known,
        "live_url": address("live_drift", request.args),
    }


def _read(before: int | None, only_open: bool) -> tuple[list[Found], int | None]:
    """One page of intervals, the newest first, and where the next one starts."""
    found: list[Found] = []
    for _ in range(MOST_READS):
        with here().store.read() as db:
            some = drifts.page(db, only_open=only_open, before=before, limit=PAGE)
            owners = applications.by_ids(db, sorted({each.application_id for each in some}))
        for each in some:
            before = each.id
            owner = owners.get(each.application_id)
            if owner is not None and may("get", owner):
                found.append(Found(each, owner))
            if len(found) == PAGE:
                return found, before
        if len(some) < PAGE:
            return found, None
    return found, before
