"""`driftline doctor`: look at every outside part and say what to do about what does not work."""

from collections.abc import Callable, Iterator

from driftline.adapters import broker
from driftline.adapters.http import readiness
from driftline.adapters.store import clusters, jobs, migrating, repositories, ticks
from driftline.desired.tools import Tool
from driftline.desired.urls import shown_url
from driftline.flow.edges import Edges
from driftline.flow.registry import Check
from driftline.model.errors import Failure


def checks(edges: Edges) -> Iterator[Check]:
    """Each part in turn; nothing raises."""
    yield _checked("database", lambda: _database(edges), "check DRIFTLINE_DATABASE_URL and run driftline migrate")
    yield _checked(
        "broker",
        lambda: broker.describe(edges.settings),
        "start it, or check DRIFTLINE_BROKER_URL; work waits in the database",
    )
    yield _checked(
        "web",
        lambda: readiness.ready_at(edges.settings),
        "start driftline up or driftline web; DRIFTLINE_LISTEN says where it listens",
    )
    yield _checked("git", edges.mirrors.version, "install git 2.39 or newer")
    yield _checked("kubectl", lambda: _tool(edges, Tool.KUSTOMIZE), "set DRIFTLINE_KUBECTL")
    yield _checked("helm", lambda: _tool(edges, Tool.HELM), "install Helm or set DRIFTLINE_HELM")
    yield _checked("sandbox", lambda: _sandbox(edges), "see DRIFTLINE_RENDER_UNSANDBOXED")
    yield from _scheduler(edges)
    yield from _clusters(edges)
    yield from _repositories(edges)
    yield _alerts(edges)


def _checked(name: str, look: Callable[[], str], advice: str) -> Check:
    try:
        return Check(name, True, look())
    except Failure as failure:
        return Check(name, False, failure.message, advice)
    except Exception as error:
        return Check(name, False, f"{type(error).__name__}: {error}", advice)


def _database(edges: Edges) -> str:
    current, head = migrating.current(edges.store), migrating.heads()
    if current not in head:
        raise RuntimeError(f"is at migration {current or 'none'}, wants {', '.join(head)}")
    return f"{edges.store.where}, migration {current}"


def _tool(edges: Edges, tool: Tool) -> str:
    found = edges.renderers.program(tool)
    assert found is not None
    return found.path


def _sandbox(edges: Edges) -> str:
    return f"renders have no network: {edges.renderers.guard}"


def _scheduler(edges: Edges) -> Iterator[Check]:
    try:
        with edges.store.read() as db:
            last = ticks.last(db, "stragglers")
            waiting = jobs.oldest_due_age(db)
    except Failure:
        return
    if last is None or (edges.now() - last).total_seconds() > 30:
        when = f"last tick {last:%Y-%m-%d %H:%M:%S}Z" if last else "no tick so far"
        yield Check("scheduler", False, when, "start driftline beat and driftline worker")
    else:
        yield Check("scheduler", True, f"last tick {(edges.now() - last).total_seconds():.0f} s ago")
    late = {queue: age.total_seconds() for queue, age in waiting.items() if age.total_seconds() > 30}
    for queue, seconds in sorted(late.items()):
        yield Check(f"queue {queue}", False, f"a job has waited for {seconds:.0f} s", "start more driftline workers")


def _clusters(edges: Edges) -> Iterator[Check]:
    with edges.store.read() as db:
        rows = clusters.everything(db)
    if not rows:
        yield Check("clusters", False, "none is registered", "driftline cluster add CONTEXT")
    for row in rows:
        yield _checked(
            f"cluster {row.name}",
            lambda row=row: f"Kubernetes {edges.cluster(row).version()}",  # type: ignore[misc]
            "check its address and credentials; driftline cluster add --upsert",
        )


def _repositories(edges: Edges) -> Iterator[Check]:
    with edges.store.read() as db:
        rows = repositories.everything(db)
    for row in rows[:50]:
        ok = row.failing_since is None
        detail = (
            f"fetched {row.fetched_at:%Y-%m-%d %H:%M:%S}Z" if ok and row.fetched_at else row.message or "not fetched"
        )
        advice = "" if ok else "driftline repo add --upsert with credentials"
        yield Check(f"repository {shown_url(row.url)}", ok, detail, advice)


def _alerts(edges: Edges) -> Check:
    settings = edges.settings
    ways = [name for name, on in (("e-mail", settings.smtp_host), ("Slack", settings.slack_token)) if on]
    if settings.alert_recipients or ways:
        return Check(
            "alerts", True, f"{', '.join(ways) or 'webhooks only'}; to {settings.alert_recipients or 'subscribers'}"
        )
    # Not a fault: applications may name their own recipients, and a trial needs none.
    return Check("alerts", True, "nobody is told of anything", "set DRIFTLINE_ALERT_RECIPIENTS and a channel")


def alive(edges: Edges, process: str) -> Check:
    """Whether a process of this machine does its work, for liveness probes."""
    with edges.store.read() as db:
        if process in ("beat", "worker"):
            last = ticks.last(db, "stragglers")
            ok = last is not None and (edges.now() - last).total_seconds() < 120
            return Check(process, ok, f"last tick {last}")
        rows = clusters.everything(db)
    fresh = [
        row for row in rows if row.watch_bookmark_at and (edges.now() - row.watch_bookmark_at).total_seconds() < 120
    ]
    return Check(
        process, bool(fresh) or not rows, f"{len(fresh)} of {len(rows)} clusters watched, process {edges.owner}"
    )
