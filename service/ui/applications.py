"""The list of applications: filters with counts, and pages of 50."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, redirect, request, url_for
from sqlalchemy import Connection

from driftline.adapters.store import applications, clusters, drifts, syncs
from driftline.adapters.store.applications import ApplicationBrief, Filter
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.syncs import SyncBrief
from driftline.model.health import HealthStatus, SyncStatus
from service.ui.freshness import Verdict, verdict
from service.ui.page import PAGE, address, argument, fragment, here, may, now, page, sees_all

CHUNK = 500
"""Rows read at once for people who may not see all of them."""


@dataclass(frozen=True)
class Line:
    """One application of the list."""

    row: ApplicationBrief
    verdict: Verdict
    cluster: ClusterRow | None
    running: SyncBrief | None
    drifted: int

    @property
    def reason(self) -> str:
        """Why it is out of sync, in numbers."""
        differ = int((self.row.summary or {}).get("outOfSync") or 0)
        if self.verdict.last:
            return f"was {self.verdict.last}"
        if self.row.sync_status is not SyncStatus.OUT_OF_SYNC or not differ:
            return ""
        total = int((self.row.summary or {}).get("objects") or 0)
        return f"{differ} of {max(total, differ)} differ"


@dataclass(frozen=True)
class Chip:
    """One filter: a word, how many applications it would show, and the address that switches it on or off."""

    word: str
    number: int
    url: str
    on: bool


def index() -> Response:
    """The first page."""
    return redirect(url_for("ui.list_applications"), 302)  # type: ignore[return-value]


def list_applications() -> Response:
    """The list as a page."""
    return page("applications.html", **_seen())


def list_fragment() -> Response:
    """The list alone, for a page that is open."""
    return fragment("applications_list.html", **_seen())


def _seen() -> dict[str, Any]:
    """What of the list the reader asked for and may see."""
    where, after = _filter(), argument("after")
    with here().store.read() as db:
        rows, following = _page(db, where, after)
        counted = _counts(db, replace(where, sync=None, health=None))
        ids = [row.id for row in rows]
        running = syncs.open_of_many(db, ids)
        drifted = drifts.open_counts(db)
        known = {each.id: each for each in clusters.everything(db)}
    longest = here().settings.verdict_age
    lines = [
        Line(
            row,
            verdict(row, known.get(row.cluster_id or 0), longest, now()),
            known.get(row.cluster_id or 0),
            running.get(row.id),
            drifted.get(row.id, 0),
        )
        for row in rows
    ]
    given = {"search": where.contains, "proj": " ".join(where.projects or ())}
    return {
        "lines": lines,
        "total": sum(counted.values()),
        "syncs": _chips("sync", SyncStatus, counted, 0),
        "healths": _chips("health", HealthStatus, counted, 1),
        "given": given,
        "filtered": any(given.values()) or where.sync is not None or where.health is not None,
        "after": after,
        "next_url": _url(after=following) if following else "",
        "first_url": _url(after=""),
        "live_url": address("list_fragment", request.args),
    }


def _filter() -> Filter:
    """What the address asks for, in Argo CD's words; a word that is no state counts as not given."""
    sync, health, project = argument("sync"), argument("health"), argument("proj")
    return Filter(
        projects=[project] if project else None,
        sync=SyncStatus(sync) if sync in set(SyncStatus) else None,
        health=HealthStatus(health) if health in set(HealthStatus) else None,
        contains=argument("search"),
    )


def _page(db: Connection, where: Filter, after: str) -> tuple[list[ApplicationBrief], str]:
    """One page of what the reader may see, and where the next one starts."""
    if sees_all():
        found = applications.page(db, where, after, PAGE)
        return list(found.rows), found.after
    rows: list[ApplicationBrief] = []
    while True:
        found = applications.page(db, where, after, CHUNK)
        rows += [row for row in found.rows if may("get", row)]
        if len(rows) > PAGE:
            return rows[:PAGE], rows[PAGE - 1].name
        if not found.after:
            return rows, ""
        after = found.after


def _counts(db: Connection, where: Filter) -> dict[tuple[SyncStatus, HealthStatus], int]:
    """How many applications that the reader may see there are, by state."""
    if sees_all():
        return applications.counts(db, where)
    counted: dict[tuple[SyncStatus, HealthStatus], int] = {}
    after = ""
    while True:
        found = applications.page(db, where, after, CHUNK)
        for row in found.rows:
            if may("get", row):
                counted[row.sync_status, row.health_status] = counted.get((row.sync_status, row.health_status), 0) + 1
        if not found.after:
            return counted
        after = found.after


def _chips(
    name: str,
    words: type[SyncStatus] | type[HealthStatus],
    counted: Mapping[tuple[SyncStatus, HealthStatus], int],
    place: int,
) -> list[Chip]:
    """The filters of one kind; those that would show nothing are left out unless they are on."""
    other = argument("health" if name == "sync" else "sync")
    chips = []
    for word in words:
        number = sum(
            many for key, many in counted.items() if key[place] == word and (not other or key[1 - place] == other)
        )
        on = argument(name) == word
        if number or on:
            chips.append(Chip(str(word), number, _url(**{name: "" if on else str(word), "after": ""}), on))
    return chips


def _url(**changes: str) -> str:
    """The address of this list with other values; empty ones are left out."""
    given = {name: argument(name) for name in ("search", "proj", "sync", "health", "after")} | changes
    return address("list_applications", given)
