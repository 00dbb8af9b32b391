"""Charts in OCI registries: a real registry for the protocol, a made-up one for what a real one never does."""

import hashlib
import io
import json
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import httpx
import pytest

from driftline.adapters.charts import Charts
from driftline.adapters.charts.registry import MANIFEST, registry_base
from driftline.desired.tree import EntryKind
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.charts.conftest import MakeCharts
from tests.kit.charthost import (
    PASSWORD,
    USER,
    Answer,
    RegistryHost,
    Request,
    TokenService,
    WebHost,
    asked_scope,
    basic,
    package,
    token_answer,
)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RegistryHost]:
    with RegistryHost(tmp_path_factory.mktemp("registry")) as host:
        yield host


def access_to(host: RegistryHost, path: str = "charts", **more: Any) -> RepositoryAccess:
    return RepositoryAccess(f"oci://{host.address}/{path}", kind="oci", plain_http=True, **more)


@pytest.mark.covers("REV-04")
@pytest.mark.covers("REPO-10")
def test_a_chart_that_helm_pushed_is_listed_pulled_and_read(
    registry: RegistryHost, charts: Charts, tmp_path: Path
) -> None:
    archive = package(tmp_path, "redis", "1.2.0")
    registry.push(archive)
    registry.push(package(tmp_path, "redis", "1.3.0+build.7"))
    access = access_to(registry)
    assert sorted(charts.versions(access, "redis")) == ["1.2.0", "1.3.0+build.7"]
    chart = charts.pull(access, "redis", "1.2.0")
    assert (chart.name, chart.version) == ("redis", "1.2.0")
    assert chart.digest == f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"
    assert charts.tree(chart.digest).read(["values.yaml"]) == {"values.yaml": b"greeting: hello\n"}
    assert charts.pull(access, "redis", "1.3.0+build.7").version == "1.3.0+build.7"
    bare = replace(access, url=f"{registry.address}/charts")
    assert charts.pull(bare, "redis", "1.2.0") == chart


def test_what_is_not_there_is_named(registry: RegistryHost, charts: Charts, tmp_path: Path) -> None:
    registry.push(package(tmp_path, "redis", "1.2.0"))
    with pytest.raises(
        Permanent, match=rf"^oci://{registry.address}/charts/nothing: does not exist \(HTTP 404, NAME_UN"
    ):
        charts.versions(access_to(registry), "nothing")
    with pytest.raises(Permanent, match=r"charts/redis: does not exist \(HTTP 404, MANIFEST_UNKNOWN\)"):
        charts.pull(access_to(registry), "redis", "9.9.9")


def test_many_tags_come_in_pages(charts: Charts) -> None:
    tags = [f"1.{number}.0" for number in range(250)]

    def reply(request: Request) -> Answer:
        start = int(request.path.rpartition("last=")[2]) if "last=" in request.path else 0
        body = json.dumps({"name": "charts/redis", "tags": tags[start : start + 100]}).encode()
        link = {"Link": f'</v2/charts/redis/tags/list?n=100&last={start + 100}>; rel="next"'}
        return Answer(200, body, link if start + 100 < len(tags) else {})

    with WebHost(reply) as host:
        access = RepositoryAccess(f"oci://127.0.0.1:{host.port}/charts", kind="oci", plain_http=True)
        assert charts.versions(access, "redis") == tuple(tags)


def test_pages_that_lead_elsewhere_or_never_end(make_charts: MakeCharts) -> None:
    links = ["http://127.0.0.1:9/v2/charts/redis/tags/list", "?n=1"]
    with WebHost(lambda request: Answer(200, b'{"tags": ["1.0.0"]}', {"Link": f'<{links[0]}>; rel="next"'})) as host:
        access = RepositoryAccess(f"oci://127.0.0.1:{host.port}/charts", kind="oci", plain_http=True)
        with pytest.raises(Permanent, match="goes on at another host, which is not followed"):
            make_charts().versions(access, "redis")
        links.pop(0)
        with pytest.raises(Permanent, match="has more than 3 pages of tags"):
            make_charts(pages=3).versions(access, "redis")


def test_a_login(tmp_path: Path, charts: Charts) -> None:
    storage = tmp_path / "storage"
    with RegistryHost(storage) as door, RegistryHost.with_login(storage) as host:
        door.push(package(tmp_path, "redis", "1.0.0"))
        access = access_to(host, username=USER, password=PASSWORD)
        assert charts.versions(access, "redis") == ("1.0.0",)
        assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"
        charts.check(access)
        for wrong in (access_to(host), access_to(host, username=USER, password="wr0ng-canary")):
            with pytest.raises(Permanent, match=r"authentication failed \(HTTP 401"):
                charts.check(wrong)
            with pytest.raises(Permanent, match=r"authentication failed \(HTTP 401, UNAUTHORIZED\)") as raised:
                charts.versions(wrong, "redis")
            assert "canary" not in raised.value.message


@pytest.mark.parametrize("login", [True, False])
def test_a_login_is_exchanged_for_a_token(login: bool, tmp_path: Path, charts: Charts) -> None:
    storage = tmp_path / "storage"
    with RegistryHost(storage) as door, TokenService(tmp_path, basic() if login else "") as tokens:
        door.push(package(tmp_path, "redis", "1.0.0"))
        with RegistryHost(storage, tokens.section()) as host:
            access = access_to(host, username=USER if login else "", password=PASSWORD if login else "")
            assert charts.versions(access, "redis") == ("1.0.0",)
            assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"
            assert {asked_scope(request) for request in tokens.requests} == {
                ("registry", "repository:charts/redis:pull")
            }
            assert tokens.authorizations() == {basic() if login else ""}
            if login:
                with pytest.raises(Permanent, match="authentication failed"):
                    charts.versions(replace(access, password="wrong"), "redis")


CHART_LAYER = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"


@contextmanager
def made_up(
    archive: bytes, change: Callable[[dict[str, Any]], object] = lambda manifest: None, **answers: Answer
) -> Iterator[WebHost]:
    """A registry with one chart whose manifest was changed; `answers` by the last part of the path."""
    digest = f"sha256:{hashlib.sha256(archive).hexdigest()}"
    layer = {"mediaType": CHART_LAYER, "digest": digest, "size": len(archive)}
    manifest: dict[str, Any] = {"schemaVersion": 2, "config": {"digest": digest, "size": 1}, "layers": [layer]}
    change(manifest)

    def reply(request: Request) -> Answer:
        kind = request.path.split("/")[-2]
        if kind in answers:
            return answers[kind]
        if kind == "manifests":
            return Answer(200, json.dumps(manifest).encode())
        return Answer(200, archive)

    with WebHost(reply) as host:
        yield host


def access_to_web(host: WebHost, **more: Any) -> RepositoryAccess:
    return RepositoryAccess(f"oci://127.0.0.1:{host.port}/charts", kind="oci", plain_http=True, **more)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda m: m.update(layers=[]), "holds 0 archives"),
        (lambda m: m["layers"].append(m["layers"][0]), "holds 2 archives"),
        (lambda m: m["layers"][0].update(mediaType="application/vnd.oci.image.layer.v1.tar+gzip"), "holds 0 archives"),
        (lambda m: m.update(layers=None, manifests=[]), "holds no archive but something else"),
        (lambda m: m["layers"][0].update(digest="sha512:x"), "no digest by SHA-256"),
        (lambda m: m["layers"][0].update(digest="sha256:../../x"), "no digest by SHA-256"),
        (lambda m: m["layers"][0].update(digest=f"sha256:{'0' * 64}"), "wants archive sha256:000"),
    ],
)
def test_what_is_no_chart_or_not_what_it_says_is_refused(
    change: Callable[[dict[str, Any]], object], said: str, charts: Charts, tmp_path: Path
) -> None:
    with (
        made_up(package(tmp_path, "redis", "1.0.0").read_bytes(), change) as host,
        pytest.raises(Permanent, match=said),
    ):
        charts.pull(access_to_web(host), "redis", "1.0.0")
    assert list((tmp_path / "kept" / "archives").rglob("*.tgz")) == []


def test_a_digest_names_its_manifest_and_no_other(charts: Charts, registry: RegistryHost, tmp_path: Path) -> None:
    archive = package(tmp_path, "redis", "1.0.0")
    with made_up(archive.read_bytes()) as host:
        wanted = f"sha256:{'1' * 64}"
        with pytest.raises(Permanent, match=f"wants manifest {wanted}, the registry sent sha256:"):
            charts.pull(access_to_web(host), "redis", wanted)
    named = {"Docker-Content-Digest": f"sha256:{'2' * 64}"}
    with (
        made_up(b"", manifests=Answer(200, b'{"layers": []}', named)) as host,
        pytest.raises(Permanent, match="wants mani"),
    ):
        charts.pull(access_to_web(host), "redis", "1.0.0")
    registry.push(archive, "pinned")
    manifest = manifest_digest(registry, "pinned/redis", "1.0.0")
    assert charts.pull(access_to(registry, "pinned"), "redis", manifest).version == "1.0.0"


def manifest_digest(registry: RegistryHost, name: str, tag: str) -> str:
    import httpx

    accept = {"Accept": "application/vnd.oci.image.manifest.v1+json"}
    answer = httpx.get(f"http://{registry.address}/v2/{name}/manifests/{tag}", headers=accept, trust_env=False)
    return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"


def test_a_blob_elsewhere_is_fetched_without_the_login(charts: Charts, tmp_path: Path) -> None:
    archive = package(tmp_path, "redis", "1.0.0").read_bytes()
    with WebHost(lambda request: Answer(200, archive)) as store:
        moved = Answer(307, headers={"Location": f"{store.url}/bucket/blob?X-Signature=canary"})
        with made_up(archive, blobs=moved) as host:
            access = access_to_web(host, username=USER, password=PASSWORD)
            assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"
            assert host.authorizations() == {basic()} and store.authorizations() == {""}
        with made_up(b"other", blobs=moved) as host, pytest.raises(Permanent) as raised:
            charts.pull(access_to_web(host), "redis", "2.0.0")
        assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        ('Bearer realm="http://169.254.169.254/token",service="x"', "leads to an address inside"),
        ('Bearer realm="file:///etc/passwd"', "is no web address"),
        ('Bearer realm=""', "is no web address"),
        ('Basic realm="x"', "authentication failed"),
        ("", "authentication failed"),
    ],
)
def test_challenges_that_lead_nowhere(challenge: str, said: str, charts: Charts) -> None:
    answer = Answer(401, b"canary", {"WWW-Authenticate": challenge})
    with WebHost(lambda request: answer) as host, pytest.raises(Permanent, match=said):
        charts.versions(access_to_web(host, username=USER, password=PASSWORD), "redis")


def test_a_bearer_token_of_ones_own_is_sent_and_not_exchanged(charts: Charts) -> None:
    with WebHost(lambda request: Answer(401, b"", {"WWW-Authenticate": 'Bearer realm="http://127.0.0.1:9/"'})) as host:
        with pytest.raises(Permanent, match="authentication failed"):
            charts.versions(access_to_web(host, bearer_token="tok"), "redis")
        assert host.authorizations() == {"Bearer tok"}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"token": 7}', b'{"token": "a\\nb"}', b"x"])
def test_a_token_service_that_gives_no_token(body: bytes, charts: Charts) -> None:
    with WebHost(lambda request: Answer(200, body)) as tokens:
        challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}/token",service="x"'}
        with WebHost(lambda request: Answer(401, b"", challenge)) as host, pytest.raises(Permanent):
            charts.versions(access_to_web(host), "redis")


def test_a_token_that_is_refused_is_not_asked_for_again_and_again(charts: Charts) -> None:
    with WebHost(lambda request: token_answer("useless")) as tokens:
        challenge = {"WWW-Authenticate": f'Bearer realm="{tokens.url}/token",service="x"'}
        with WebHost(lambda request: Answer(401, b"", challenge)) as host:
            with pytest.raises(Permanent, match="authentication failed"):
                charts.versions(access_to_web(host), "redis")
            assert len(host.requests) == 2 and len(tokens.requests) == 1


def test_a_registry_that_is_away(charts: Charts, tmp_path: Path) -> None:
    archive = package(tmp_path, "redis", "1.0.0").read_bytes()
    with made_up(archive) as host:
        access = access_to_web(host)
        chart = charts.pull(access, "redis", "1.0.0")
    assert charts.pull(access, "redis", "1.0.0") == chart
    with pytest.raises(Temporary, match="connection refused"):
        charts.versions(access, "redis")


def test_only_versions_have_a_plus(charts: Charts, tmp_path: Path, registry: RegistryHost) -> None:
    registry.push(package(tmp_path, "redis", "3.0.0+build.1"), "named")
    with httpx.Client(base_url=f"http://{registry.address}/v2/named/redis/") as client:
        manifest = client.get("manifests/3.0.0_build.1", headers={"accept": MANIFEST})
        client.put("manifests/feature_x", content=manifest.content, headers={"content-type": MANIFEST})
    assert sorted(charts.versions(access_to(registry, "named"), "redis")) == ["3.0.0+build.1", "feature_x"]


def test_a_tag_that_moved_is_followed(charts: Charts, tmp_path: Path, registry: RegistryHost) -> None:
    registry.push(package(tmp_path, "redis", "3.0.0"), "moving")
    first = charts.pull(access_to(registry, "moving"), "redis", "3.0.0")
    registry.push(package(tmp_path, "redis", "3.0.0", {"values.yaml": "greeting: moved\n"}), "moving")
    assert charts.pull(access_to(registry, "moving"), "redis", "3.0.0") != first


@contextmanager
def counted(behind: RegistryHost) -> Iterator[WebHost]:
    """A real registry whose requests can be counted."""
    passed = ("authorization", "accept")
    told = ("docker-content-digest", "www-authenticate", "content-type")

    def reply(request: Request) -> Answer:
        headers = {name: request.headers[name] for name in passed if name in request.headers}
        found = httpx.request(request.method, f"http://{behind.address}{request.path}", headers=headers)
        return Answer(
            found.status_code, found.content, {name: found.headers[name] for name in told if name in found.headers}
        )

    with WebHost(reply) as host:
        yield host


def pulls(host: WebHost) -> int:
    """Requests that count against a registry's limit of pulls."""
    return sum(request.method == "GET" and "/manifests/" in request.path for request in host.requests)


def test_looking_again_is_no_pull_and_takes_no_new_token(charts: Charts, tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with RegistryHost(storage) as door, TokenService(tmp_path, "") as tokens:
        door.push(package(tmp_path, "redis", "1.0.0"))
        pinned = manifest_digest(door, "charts/redis", "1.0.0")
        with RegistryHost(storage, tokens.section()) as behind, counted(behind) as host:
            access = access_to_web(host)
            first = charts.pull(access, "redis", "1.0.0")
            assert charts.pull(access, "redis", pinned) == first
            before = pulls(host)
            for _ in range(3):
                assert charts.versions(access, "redis") == ("1.0.0",)
                assert charts.pull(access, "redis", "1.0.0") == first
            assert pulls(host) == before and len(tokens.requests) == 1
            asked = len(host.requests)
            assert charts.pull(access, "redis", pinned) == first
            assert len(host.requests) == asked, "what a digest names never changes"

            door.push(package(tmp_path, "redis", "1.0.0", {"values.yaml": "greeting: moved\n"}))
            assert charts.pull(access, "redis", "1.0.0") != first and pulls(host) == before + 1
            assert charts.pull(access, "redis", pinned) == first


def test_a_registry_without_head_is_asked_in_full(charts: Charts, tmp_path: Path) -> None:
    archive = package(tmp_path, "redis", "1.0.0").read_bytes()
    with made_up(archive) as host:
        first = charts.pull(access_to_web(host), "redis", "1.0.0")
        assert charts.pull(access_to_web(host), "redis", "1.0.0") == first and pulls(host) == 2


def test_a_token_that_ended_early_is_exchanged_again(charts: Charts) -> None:
    issued: list[str] = []

    def issue(request: Request) -> Answer:
        issued.append(f"token-{len(issued)}")
        return token_answer(issued[-1])

    def reply(request: Request) -> Answer:
        if request.headers.get("authorization") != f"Bearer {valid[0]}":
            return Answer(401, b"", {"WWW-Authenticate": f'Bearer realm="{tokens.url}/token",service="x"'})
        return Answer(200, b'{"tags": ["1.0.0"]}')

    valid = ["token-0"]
    with WebHost(issue) as tokens, WebHost(reply) as host:
        access = access_to_web(host)
        assert charts.versions(access, "redis") == charts.versions(access, "redis") == ("1.0.0",)
        valid[0] = "token-1"
        assert charts.versions(access, "redis") == ("1.0.0",)
        assert issued == ["token-0", "token-1"]


@pytest.mark.parametrize("name", ["Redis", "../redis", "a//b", "", "redis?x", "r" * 300])
def test_names_that_no_registry_has(name: str, charts: Charts) -> None:
    access = RepositoryAccess("oci://127.0.0.1:9/charts", kind="oci", plain_http=True)
    if name:
        with pytest.raises(Permanent, match="is no name of a repository in a registry"):
            charts.versions(access, name)
    for version in ("../x", "a b", "", "x" * 200, "sha256:abc"):
        with pytest.raises(Permanent, match="cannot be a tag"):
            charts.pull(access, "redis", version)


def test_how_registries_are_spelled() -> None:
    assert registry_base("oci://Registry.example/a/b/", False) == ("https://Registry.example", "a/b")
    assert registry_base("registry.example:5000/a", True) == ("http://registry.example:5000", "a")
    assert registry_base("oci://docker.io/library", False) == ("https://registry-1.docker.io", "library")


def test_nothing_takes_long(charts: Charts) -> None:
    start = time.monotonic()
    answer = Answer(401, b"", {"WWW-Authenticate": "Bearer " + 'a="b,' * 50_000})
    with WebHost(lambda request: answer) as host, pytest.raises((Permanent, Temporary)):
        charts.versions(access_to_web(host), "redis")
    assert time.monotonic() - start < 5


def tarred(files: dict[str, bytes], links: dict[str, str] | None = None, mode: Literal["w", "w:gz"] = "w:gz") -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode=mode) as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    return content.getvalue()


def as_files(packed: bool) -> Callable[[dict[str, Any]], object]:
    kind = "application/vnd.oci.image.layer.v1.tar" + ("+gzip" if packed else "")
    return lambda manifest: manifest["layers"][0].update(mediaType=kind)


@pytest.mark.covers("GEN-17")
@pytest.mark.parametrize("packed", [True, False])
def test_an_artifact_of_any_files(packed: bool, charts: Charts, make_charts: MakeCharts) -> None:
    files = {"app/web.yaml": b"kind: Service\n", "./README.md": b"shop\n"}
    archive = tarred(files, {"app/link.yaml": "../README.md"}, "w:gz" if packed else "w")
    with made_up(archive, as_files(packed)) as host:
        access = RepositoryAccess(f"oci://127.0.0.1:{host.port}/team/shop", kind="oci", plain_http=True)
        found = charts.pull(access, "", "v1")
        assert host.paths()[0] == "/v2/team/shop/manifests/v1"
        with pytest.raises(Permanent, match="holds 0 archives of charts"):
            charts.pull(replace(access, url=f"oci://127.0.0.1:{host.port}/team"), "shop", "v1")
    tree = make_charts().tree(found.digest)
    assert tree.commit == found.digest == found.version
    assert tree.read(["app/web.yaml", "app/link.yaml"]) == {
        "app/web.yaml": files["app/web.yaml"],
        "app/link.yaml": b"../README.md",
    }
    kinds = {entry.path: entry.kind for entry in tree.list("", recursive=True)}
    assert kinds["app/link.yaml"] is EntryKind.SYMLINK and kinds["README.md"] is EntryKind.FILE


@pytest.mark.covers("GEN-17")
def test_a_chart_by_its_whole_url(registry: RegistryHost, charts: Charts, tmp_path: Path) -> None:
    registry.push(package(tmp_path, "redis", "1.2.0"))
    whole = access_to(registry, "charts/redis")
    assert "1.2.0" in charts.versions(whole, "")
    assert charts.pull(whole, "", "1.2.0") == charts.pull(access_to(registry), "redis", "1.2.0")


@pytest.mark.parametrize("target", ["/etc/passwd", "../../x", "../app/../../x"])
def test_an_artifact_whose_links_lead_out_is_refused(target: str, charts: Charts) -> None:
    archive = tarred({"app/a.yaml": b""}, {"app/link": target})
    with made_up(archive, as_files(True)) as host, pytest.raises(Permanent, match="leads out of the archive"):
        charts.pull(access_to_web(host), "", "v1")
    through = tarred({"app/link/x": b""}, {"app/link": "a.yaml"})
    with made_up(through, as_files(True)) as host, pytest.raises(Permanent, match="lies below"):
        charts.pull(access_to_web(host), "", "v1")


def test_an_artifact_has_one_layer(charts: Charts) -> None:
    def two(manifest: dict[str, Any]) -> None:
        as_files(True)(manifest)
        manifest["layers"].append({"mediaType": "application/octet-stream"})

    with (
        made_up(tarred({"a": b""}), two) as host,
        pytest.raises(Permanent, match="holds 1 archives in 2 layers, want one"),
    ):
        charts.pull(access_to_web(host), "", "v1")
