"""What strangers may write: texts that try to be code, wherever a text of theirs may reach a page."""

from datetime import timedelta

from driftline.adapters.store import (
    alerts,
    applications,
    clusters,
    declarations,
    deliveries,
    drifts,
    jobs,
    repositories,
    syncs,
)
from driftline.adapters.store.drifts import FieldFound
from driftline.model.health import HealthStatus, SyncStatus
from driftline.model.objects import Key
from driftline.model.push import Push, RefAction, RefChange
from driftline.model.sync import OperationPhase
from tests.ui.installation import CHECKOUT, UID, Installation, document, plan_json, standing, step

HOSTILE = (
    "<script>window.broken=1</script>",
    '"><img src=x onerror="window.broken=1">',
    "'><svg onload=window.broken=1>",
    "javascript:window.broken=1",
    "{{ 7 * 191 }}${7*191}<%= 7*191 %>",
    "</textarea></title></code><iframe src=javascript:window.broken=1>",
    "&lt;b&gt;\u202e\x1b[31m",
    "x" * 3000,
)
EVIL = " ".join(HOSTILE)


def infest(made: Installation) -> None:
    """Let strangers write whatever they like wherever their texts may come from."""
    now = made.now
    with made.edges.store.write() as db:
        cluster = clusters.get(db, "prod-eu")
        assert cluster is not None
        clusters.set_failed(db, cluster.id, EVIL)
        evil = document("evil", annotations={f"link.argocd.argoproj.io/{n}": text for n, text in enumerate(HOSTILE)})
        evil["spec"]["source"] = {"repoURL": "javascript:window.broken=1//", "path": EVIL, "targetRevision": EVIL}
        wish = declarations.Declaration("evil", evil, cluster_id=cluster.id, namespace=EVIL, warnings=[EVIL])
        app_id = declarations.declare(db, wish).ids["evil"]
        applications.set_status(
            db,
            app_id,
            **standing(
                now,
                sync_status=SyncStatus.OUT_OF_SYNC,
                health_status=HealthStatus.DEGRADED,
                health_message=EVIL,
                revisions=[EVIL],
                summary={
                    "objects": 1,
                    "outOfSync": 1,
                    "images": [EVIL],
                    "commits": [{"subject": EVIL, "author": EVIL}],
                },
                conditions=[{"type": EVIL, "message": EVIL, "lastTransitionTime": EVIL}],
                paused={"by": EVIL, "why": EVIL, "at": EVIL, "until": EVIL},
                pin={"revision": EVIL, "by": EVIL, "why": EVIL, "until": None},
            ),
        )
        field = FieldFound(EVIL, EVIL, EVIL, EVIL, EVIL, EVIL, now)
        drifts.record(db, app_id, UID, {Key("", "Secret", "shop", "<b>evil</b>").id: [field]}, now)
        found = syncs.create(db, app_id, EVIL, revisions=[EVIL], initiated_by=EVIL, message=EVIL)
        assert found is not None
        plan = plan_json()
        for each in (*plan["changes"], *plan["held"], *plan["skipped"]):
            each |= {
                "reason": EVIL,
                "fields": [{**dict.fromkeys(("path", "kind", "desired", "live", "manager"), EVIL)}],
            }
        plan |= {"warnings": [EVIL], "problems": [{"key": EVIL, "message": EVIL}], "refused": EVIL}
        results = {"objects": [{"key": CHECKOUT[0].id, "status": "SyncFailed", "message": EVIL}], "hooks": []}
        step(db, found, phase=OperationPhase.HELD, plan_view=plan, results=results, message=EVIL)
        alerts.fire_many(db, [alerts.Firing(f"app:{EVIL}", EVIL, facts={EVIL: EVIL, "message": EVIL})], now)
        push = Push(EVIL, EVIL, EVIL, (EVIL,), (RefChange(EVIL, RefAction.UPDATED),), ignored=EVIL)
        deliveries.receive(db, push, EVIL, ())
        held = jobs.claim(db, jobs.request(db, jobs.Request(EVIL, EVIL)), "test", timedelta(minutes=1))
        assert held is not None
        jobs.fail(db, held, EVIL, timedelta(0), 1)
        rows = repositories.ensure_many(db, [repositories.Named(f"javascript:{EVIL}", f"javascript:{EVIL}")])
        repositories.set_failed(db, next(iter(rows.values())).id, EVIL)
