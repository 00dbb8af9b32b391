"""What a push and a check cost the API server, counted in its own audit log."""

import time

from deploy.demo.world import World
from deploy.localcluster.audit import AuditEntry
from deploy.localcluster.localcluster import LocalCluster
from driftline.adapters.store import jobs
from driftline.flow.subjects import scan_request
from tests.kit.world import Team, config_map, config_maps, database, rows, writes

OBJECTS = 200


def test_one_object_of_two_hundred(world: World, cluster: LocalCluster, crew: Team) -> None:
    crew.push(config_maps(OBJECTS))
    crew.create()
    crew.wait()
    world.eventually(lambda: crew.operation().get("finishedAt"), 20, "the sync ends")
    _quiet(world)

    mark = cluster.audit_mark()
    commit = crew.push({"app/123.json": config_map("cm-123", value="2")})
    crew.deployed(commit)
    _quiet(world)
    written = writes(cluster.audit(mark))
    assert [(each.verb, each.name) for each in written] == [("patch", "cm-123")]
    assert not written[0].dry_run
    reads = [each for each in cluster.audit(mark) if each.user == "driftline" and each.verb in ("get", "list")]
    assert len([each for each in reads if each.resource == "configmaps"]) <= 1, reads

    mark = cluster.audit_mark()
    commit = crew.push({"elsewhere/note.txt": "no application reads this\n"})
    crew.wait_for(commit)
    _quiet(world)
    assert _asked(cluster, mark) == []

    mark = cluster.audit_mark()
    world.api.get(f"/api/v1/applications/{crew.name}?refresh=normal")
    time.sleep(1)
    _quiet(world)
    assert writes(cluster.audit(mark)) == []

    _check_by_scan(world, cluster)
    crew.delete()


def _asked(cluster: LocalCluster, mark: int) -> list[AuditEntry]:
    """Calls about objects: neither the standing watches nor the discovery that each process renews twice a minute."""
    calls = cluster.audit(mark)
    return [each for each in calls if each.user == "driftline" and each.verb != "watch" and each.resource]


def _check_by_scan(world: World, cluster: LocalCluster) -> None:
    """A check by LIST of everything, though the watch sees it anyway: a few pages, no object by name, no write."""
    [row] = rows(world, "SELECT id FROM cluster")
    mark = cluster.audit_mark()
    asked = scan_request(row["id"])
    with database(world) as store, store.write() as db:
        [job] = jobs.request_many(db, [jobs.Request(asked.kind, asked.subject, asked.queue, payload={"force": True})])
    world.eventually(
        lambda: rows(world, "SELECT state FROM job WHERE id = :id", id=job)[0]["state"] == "done", 30, "the scan ends"
    )
    _quiet(world)
    calls = [each for each in cluster.audit(mark) if each.user == "driftline" and each.verb != "watch"]
    assert writes(calls) == []
    assert len([each for each in calls if each.verb == "list" and each.resource == "configmaps"]) in (1, 2)
    assert len(calls) <= 20, [(each.verb, each.uri) for each in calls]

    mark = cluster.audit_mark()
    with database(world) as store, store.write() as db:
        [job] = jobs.request_many(db, [asked])
    world.eventually(
        lambda: rows(world, "SELECT state FROM job WHERE id = :id", id=job)[0]["state"] == "done", 30, "the scan ends"
    )
    assert _asked(cluster, mark) == []


def _quiet(world: World) -> None:
    """Until nothing is due or at work any more."""
    waiting = "SELECT count(*) AS n FROM job WHERE state = 'leased' OR (state = 'queued' AND run_at <= :now)"
    world.eventually(lambda: rows(world, waiting, now=time.time())[0]["n"] == 0, 30, "everything is done")
