"""Add and remove repositories and clusters, after looking whether they can be reached."""

from dataclasses import dataclass, replace

from driftline.adapters.cluster import cluster as cluster_adapter
from driftline.adapters.notify import send
from driftline.adapters.store import applications, audit, clusters, jobs, repositories
from driftline.adapters.store.clusters import ClusterRow
from driftline.adapters.store.repositories import NewRepository, RepositoryRow
from driftline.alerts.outgoing import Outgoing
from driftline.alerts.routing import parse_recipient
from driftline.desired import urls
from driftline.flow import access, reach
from driftline.flow.edges import Edges
from driftline.flow.subjects import app_request, fetch_request, hints, scan_request
from driftline.model.access import ClusterAccess, RepositoryAccess
from driftline.model.alert import Message
from driftline.model.errors import Failure, Permanent


@dataclass(frozen=True)
class Registration:
    """A repository to be saved, or (`template`) credentials for every URL below its own.

    `name` is for people; `charts_only` notes a registry that was registered as Argo CD's type `helm` with `enableOCI`.
    `check` asks the host first whether the repository can be read.
    """

    access: RepositoryAccess
    project: str = ""
    upsert: bool = False
    check: bool = True
    template: bool = False
    hook_secret: str = ""
    name: str = ""
    charts_only: bool = False


def add_repository(edges: Edges, wanted: Registration, who: str) -> RepositoryRow:
    """Save a repository or a template. Raises what the host answers."""
    given, template = wanted.access, wanted.template
    urls.validate(given.url, given.kind, edges.settings.git_allow_file, template)
    given = _parted(given)
    if wanted.check and not template:
        _check(edges, given)
    normal = urls.identity(given.url, given.kind)

    with edges.store.write() as db:
        known = [] if template else [row for row in repositories.by_urls(db, [normal]) if row.project == wanted.project]
        if known and known[0].credentials is not None and not wanted.upsert:
            raise Permanent(f"{urls.shown_url(given.url)}: is registered already; use upsert to change its credentials")
        if known and known[0].kind != given.kind:
            repositories.set_kind(db, known[0].id, given.kind)
        hook_id = repositories.hook_id_for(db, wanted.project, normal, template)
        new = _new_repository(edges, replace(wanted, access=given), normal, hook_id)
        row = repositories.save(db, new, hook_id)
        applications.link_sources(db, row.id, normal, wanted.project)
        ids = () if template else jobs.request_many(db, [fetch_request(row.id, jobs.Queue.SCAN)])
        audit.append(db, who, "repository.add", f"repository:{normal}", {"template": template})
    edges.hint(hints(ids, jobs.Queue.SCAN))
    return row


def _parted(given: RepositoryAccess) -> RepositoryAccess:
    """The same access with the login that its URL holds among the credentials, which are sealed; the URL is not."""
    login = urls.login_of(given.url)
    if login.password and (given.password or given.bearer_token):
        raise Permanent(
            f"{urls.shown_url(given.url)}: the URL holds a password, and credentials are given as well; "
            "leave the one of the URL out"
        )
    username, password = given.username or login.username, given.password or login.password
    return replace(given, url=login.url, username=username, password=password)


def _new_repository(edges: Edges, wanted: Registration, normal: str, hook_id: str) -> NewRepository:
    given = wanted.access
    sealed, options = access.seal_repository(edges, given, hook_id)
    options |= {key: value for key, value in (("name", wanted.name), ("enable_oci", wanted.charts_only)) if value}
    return NewRepository(
        url=given.url,
        url_normal=normal,
        project=wanted.project,
        kind=given.kind,
        is_template=wanted.template,
        options=options,
        credentials=sealed,
        hook_secret=access.seal_hook_secret(edges, wanted.hook_secret, hook_id),
    )


def _check(edges: Edges, given: RepositoryAccess) -> None:
    """Ask the host whether the repository can be read. Raises what it answers."""
    if given.kind == urls.GIT:
        edges.mirrors.check(given)
    else:
        edges.charts.check(given)


def remove_repository(edges: Edges, url: str, who: str, project: str = "") -> None:
    """Forget a repository that no application reads."""
    with edges.store.write() as db:
        rows = [row for row in repositories.by_urls(db, urls.identities(url)) if row.project == project]
        if not rows:
            raise Permanent(f"{urls.shown_url(url)}: is not registered")
        normal = rows[0].url_normal
        uses = applications.of_repository(db, rows[0].id)
        if uses:
            raise Permanent(f"{urls.shown_url(url)}: application {uses[0].name} reads it; delete that first")
        repositories.remove(db, rows[0].id)
        audit.append(db, who, "repository.remove", f"repository:{normal}")


def add_cluster(edges: Edges, given: ClusterAccess, who: str, upsert: bool = False) -> ClusterRow:
    """Save a cluster after asking it who it is. Raises what it answers; two names for one real cluster are allowed."""
    connection = cluster_adapter.connect(given, edges.settings)
    uid, version = connection.uid(), connection.version()
    with edges.store.write() as db:
        if clusters.get(db, given.name) is not None and not upsert:
            raise Permanent(f"cluster {given.name}: is registered already; use upsert to change how it is reached")
        row = clusters.save(db, given.name, given.server, access.seal_cluster(edges, given))
        clusters.set_well(db, row.id, uid, version)
        applications.link_cluster(db, row.id, given.name, given.server)
        looks = jobs.request_many(db, [app_request(each.id) for each in reach.of_cluster(db, row.id)])
        ids = jobs.request_many(db, [scan_request(row.id)])
        audit.append(db, who, "cluster.add", f"cluster:{given.name}", {"server": given.server})
        found = clusters.by_id(db, row.id)
    edges.hint([*hints(looks), *hints(ids, jobs.Queue.SCAN)])
    assert found is not None
    return found


def remove_cluster(edges: Edges, name: str, who: str) -> None:
    """Forget a cluster that no application deploys to."""
    with edges.store.write() as db:
        row = clusters.get(db, name)
        if row is None:
            raise Permanent(f"cluster {name}: is not registered")
        users = applications.page(db, applications.Filter(cluster_id=row.id), limit=1).rows
        if users:
            raise Permanent(f"cluster {name}: application {users[0].name} deploys to it; delete that first")
        clusters.remove(db, name)
        audit.append(db, who, "cluster.remove", f"cluster:{name}")


def ensure_local_cluster(edges: Edges) -> str:
    """Register the cluster that we run in, or that KUBECONFIG names, as `in-cluster`; say what came of it."""
    with edges.store.read() as db:
        known = clusters.get(db, "in-cluster")
    given = edges.local_access()
    if given is None:
        return "" if known else "no cluster: set KUBECONFIG, or add one with driftline cluster add"
    try:
        connection = cluster_adapter.connect(given, edges.settings)
        uid, version = connection.uid(), connection.version()
    except Failure as failure:
        return failure.message
    with edges.store.write() as db:
        row = clusters.save(db, "in-cluster", "https://kubernetes.default.svc", None)
        clusters.set_well(db, row.id, uid, version)
        linked = applications.link_cluster(db, row.id, "in-cluster", "https://kubernetes.default.svc")
        found = reach.of_cluster(db, row.id) if linked else ()
        looks = jobs.request_many(db, [app_request(each.id) for each in found])
    edges.hint(hints(looks))
    return f"cluster in-cluster: Kubernetes {version}"


def test_alert(edges: Edges, recipient: str, who: str) -> str:
    """Send a test message now, past the outbox, so that its sender sees what the channel answers."""
    found = parse_recipient(recipient)
    if found is None:
        raise Permanent(f"recipient {recipient!r}: write channel:address, as slack:#deploys or email:ops@example.com")
    message = Message("Driftline can reach you", f"{who} asked for this test message. Alerts will arrive like it.")
    key = f"test-{edges.now().timestamp()}"
    send(Outgoing(found.channel, found.address, message, key, key), "", edges.notify)
    return f"sent to {found.channel} {found.address}"


@dataclass(frozen=True)
class Check:
    """One outside part: whether it works, what was seen, and what to do. Advice about what works is only that."""

    name: str
    ok: bool
    detail: str
    advice: str = ""
