"""HTTP chart repositories: what is listed, what is pulled, who sees credentials, and what is refused."""

import hashlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from driftline.adapters.charts import Charts
from driftline.desired.tree import EntryKind
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.charts.conftest import MakeCharts
from tests.kit.charthost import PASSWORD, USER, Answer, ChartHost, WebHost, basic
from tests.kit.githost import Authority, silent_port


def digest_of(archive: Path) -> str:
    return f"sha256:{hashlib.sha256(archive.read_bytes()).hexdigest()}"


@pytest.mark.covers("REPO-10")
def test_a_chart_that_helm_packaged_is_listed_pulled_and_read(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    archive = host.publish("redis", "1.2.0")
    host.publish("redis", "1.3.0-rc.1")
    host.publish("web", "0.1.0")
    assert sorted(charts.versions(access, "redis")) == ["1.2.0", "1.3.0-rc.1"]
    assert charts.versions(access, "nothing") == ()

    chart = charts.pull(access, "redis", "1.2.0")
    assert (chart.name, chart.version, chart.digest) == ("redis", "1.2.0", digest_of(archive))
    assert charts.contains(chart.digest) and not charts.contains(f"sha256:{'0' * 64}")

    tree = charts.tree(chart.digest)
    assert tree.commit == "1.2.0"
    assert [(entry.path, entry.kind) for entry in tree.list("")] == [
        ("Chart.yaml", EntryKind.FILE),
        ("templates", EntryKind.DIRECTORY),
        ("values.yaml", EntryKind.FILE),
    ]
    assert [entry.path for entry in tree.list("", recursive=True)] == [
        "Chart.yaml", "templates/config.yaml", "values.yaml",
    ]  # fmt: skip
    assert tree.read(["values.yaml"]) == {"values.yaml": b"greeting: hello\n"}
    assert tree.entry("templates/nothing") is None and set(tree.oids(["", "templates", "x"])) == {"", "templates"}
    with pytest.raises(Permanent, match=r"redis-1\.2\.0: templates: is a directory, not a file"):
        tree.read(["templates"])


def test_object_ids_follow_content_and_nothing_else(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    host.publish("redis", "1.0.1", {"values.yaml": "greeting: other\n"})
    one, two = (charts.tree(charts.pull(access, "redis", each).digest) for each in ("1.0.0", "1.0.1"))
    assert one.oids(["templates"]) == two.oids(["templates"])
    assert one.oids(["values.yaml"]) != two.oids(["values.yaml"]) and one.oids([""]) != two.oids([""])


def test_an_index_that_did_not_change_is_not_sent_again_not_even_to_another_process(
    host: ChartHost, access: RepositoryAccess, charts: Charts, make_charts: MakeCharts
) -> None:
    host.publish("redis", "1.0.0")
    charts.versions(access, "redis")
    assert make_charts().versions(access, "redis") == ("1.0.0",)
    first, second = host.requests
    assert "if-none-match" not in first.headers and second.headers["if-none-match"]
    host.publish("redis", "1.1.0")
    assert sorted(charts.versions(access, "redis")) == ["1.0.0", "1.1.0"]


def test_what_was_pulled_is_not_sent_again_and_serves_while_the_host_is_away(
    host: ChartHost, access: RepositoryAccess, charts: Charts, make_charts: MakeCharts
) -> None:
    host.publish("redis", "1.0.0")
    chart = charts.pull(access, "redis", "1.0.0")
    asked = len(host.requests)
    assert charts.pull(access, "redis", "1.0.0") == chart and charts.known(access, "redis", "1.0.0") == chart
    assert len(host.requests) == asked
    host.stop()
    assert make_charts().pull(access, "redis", "1.0.0") == chart
    with pytest.raises(Temporary, match=r"^http://127\.0\.0\.1:\d+/charts/index\.yaml: connection refused"):
        charts.versions(access, "redis")
    with pytest.raises(Temporary):
        charts.pull(access, "redis", "1.0.1")


def test_a_version_that_was_published_again_is_found_although_the_index_here_is_old(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    host.publish("redis", "1.0.0")
    charts.versions(access, "redis")
    archive = host.publish("redis", "1.0.0", {"values.yaml": "greeting: again\n"})
    assert charts.pull(access, "redis", "1.0.0").digest == digest_of(archive)


def test_the_second_chart_of_a_look_needs_no_second_index(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    host.publish("redis", "1.0.0")
    host.publish("web", "2.0.0")
    assert charts.versions(access, "redis", fresh=False) == ("1.0.0",)
    assert charts.versions(access, "web", fresh=False) == ("2.0.0",) and len(host.requests) == 1


def test_whether_a_repository_can_be_reached(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    charts.check(access)
    with pytest.raises(Permanent, match=r"index\.yaml: does not exist \(HTTP 404\)"):
        charts.check(replace(access, url=f"{host.url}/elsewhere"))


def test_a_version_that_is_not_listed_is_named(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    with pytest.raises(Permanent, match=r"/charts/index\.yaml: lists no redis 2\.0\.0; check chart and targetRevision"):
        charts.pull(access, "redis", "2.0.0")
    assert charts.pull(access, "redis", "v1.0.0").version == "1.0.0"


def test_relative_and_absolute_urls_are_found(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    host.index(base=f"{host.repository}/")
    assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"
    other = host.publish("web", "1.0.0")
    host.edit_index(lambda index: index["entries"]["web"][0].update(urls=["sub/../web-1.0.0.tgz"]))
    assert charts.pull(replace(access, url=f"{host.repository}/"), "web", "1.0.0").digest == digest_of(other)


def test_a_token_in_the_query_of_the_url_goes_to_index_and_archive_and_is_never_shown(
    host: ChartHost, charts: Charts
) -> None:
    host.publish("redis", "1.0.0")
    access = RepositoryAccess(f"{host.repository}?token=canary", kind="helm")
    charts.pull(access, "redis", "1.0.0")
    assert host.paths() == ["/charts/index.yaml?token=canary", "/charts/redis-1.0.0.tgz?token=canary"]
    with pytest.raises(Permanent) as raised:
        charts.pull(access, "redis", "9.9.9")
    assert "canary" not in raised.value.message


@pytest.mark.parametrize(
    ("given", "login", "header"),
    [
        (RepositoryAccess("", "helm", username=USER, password=PASSWORD), "", basic()),
        (RepositoryAccess("", "helm", bearer_token="tok-canary"), "", "Bearer tok-canary"),
        (RepositoryAccess("", "helm"), "in:the%3Aurl@", basic("in", "the:url")),
    ],
)
def test_logins(given: RepositoryAccess, login: str, header: str, tmp_path: Path, charts: Charts) -> None:
    with ChartHost(tmp_path / "private", login=header) as host:
        host.publish("redis", "1.0.0")
        access = replace(given, url=host.repository.replace("://", f"://{login}"))
        assert charts.pull(access, "redis", "1.0.0").name == "redis"
        with pytest.raises(Permanent, match=r"authentication failed \(HTTP 401\)") as raised:
            charts.versions(RepositoryAccess(host.repository, kind="helm", username="x", password="wr0ng"), "redis")
        assert "wr0ng" not in raised.value.message and "canary" not in raised.value.message


@pytest.mark.covers("REPO-10")
def test_credentials_stay_with_their_host_unless_their_owner_wants_it(tmp_path: Path, make_charts: MakeCharts) -> None:
    with ChartHost(tmp_path / "elsewhere") as elsewhere, ChartHost(tmp_path / "index", login=basic()) as host:
        elsewhere.publish("redis", "1.0.0")
        host.publish("redis", "1.0.0")
        host.edit_index(
            lambda index: index["entries"]["redis"][0].update(
                urls=[f"{elsewhere.repository}/redis-1.0.0.tgz"],
                digest=digest_of(elsewhere.directory / "redis-1.0.0.tgz"),
            )
        )
        access = RepositoryAccess(host.repository, kind="helm", username=USER, password=PASSWORD)
        make_charts(tmp_path / "one").pull(access, "redis", "1.0.0")
        assert elsewhere.authorizations() == {""}
        make_charts(tmp_path / "two").pull(replace(access, pass_credentials=True), "redis", "1.0.0")
        assert elsewhere.authorizations() == {"", basic()}


def test_credentials_do_not_follow_a_redirect_to_another_host(tmp_path: Path, charts: Charts) -> None:
    with ChartHost(tmp_path / "elsewhere") as elsewhere, ChartHost(tmp_path / "index", login=basic()) as host:
        elsewhere.publish("redis", "1.0.0")
        for name in ("index.yaml", "redis-1.0.0.tgz"):
            host.answers[f"/charts/{name}"] = Answer(302, headers={"Location": f"{elsewhere.repository}/{name}"})
        access = RepositoryAccess(host.repository, kind="helm", username=USER, password=PASSWORD)
        assert charts.pull(access, "redis", "1.0.0").name == "redis"
        assert host.authorizations() == {basic()} and elsewhere.authorizations() == {""}


def test_redirects_end(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.answers["/charts/index.yaml"] = Answer(302, headers={"Location": "/charts/index.yaml"})
    with pytest.raises(Permanent, match="more than 5 redirects"):
        charts.versions(access, "redis")
    assert len(host.requests) == 6


@pytest.mark.parametrize(
    "place",
    ["http://169.254.169.254/latest/meta-data", "http://[fe80::1]/x", "http://[fd00:ec2::254]/x", "http://0.0.0.0/x"],
)
def test_metadata_addresses_are_never_reached(
    place: str, host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    host.answers["/charts/index.yaml"] = Answer(302, headers={"Location": place})
    with pytest.raises(Permanent, match="leads to an address inside"):
        charts.versions(access, "redis")
    with pytest.raises(Permanent, match="leads to an address inside"):
        charts.versions(RepositoryAccess(place, kind="helm"), "redis")


def test_what_nobody_registered_is_reached_outside_only(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    host.publish("redis", "1.0.0")
    with pytest.raises(Permanent, match=r"leads to an address inside \(127\.0\.0\.1\)"):
        charts.versions(replace(access, public_only=True), "redis")
    assert host.requests == []


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://host/x", "gopher://host", "http://", "http://[::/"])
def test_only_web_addresses_are_followed(place: str, host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    host.edit_index(lambda index: index["entries"]["redis"][0].update(urls=[place]))
    with pytest.raises(Permanent):
        charts.pull(access, "redis", "1.0.0")
    host.answers["/charts/index.yaml"] = Answer(302, headers={"Location": place})
    with pytest.raises(Permanent):
        charts.versions(access, "redis")


def test_an_archive_that_differs_from_its_digest_is_refused(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    archive = host.publish("redis", "1.0.0")
    host.publish("web", "1.0.0")
    archive.write_bytes((host.directory / "web-1.0.0.tgz").read_bytes())
    with pytest.raises(
        Permanent, match=r"redis-1\.0\.0\.tgz: is sha256:.*, its index says sha256:.*contradicts itself"
    ):
        charts.pull(access, "redis", "1.0.0")
    assert not charts.contains(digest_of(archive))
    host.edit_index(lambda index: index["entries"]["redis"][0].update(digest="sha512:abc"))
    with pytest.raises(Permanent, match="its index says sha512:abc"):
        charts.pull(access, "redis", "1.0.0")


def test_an_index_without_digests_works(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    archive = host.publish("redis", "1.0.0")
    host.edit_index(lambda index: index["entries"]["redis"][0].pop("digest"))
    assert charts.pull(access, "redis", "1.0.0").digest == digest_of(archive)


@contextmanager
def secure(directory: Path, authority: Authority, clients: bool = False) -> Iterator[ChartHost]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.server)
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=authority.ca)
    with ChartHost(directory, tls=context) as host:
        host.publish("redis", "1.0.0")
        yield host


def test_a_private_authority(tmp_path: Path, authority: Authority, charts: Charts) -> None:
    with secure(tmp_path / "tls", authority) as host:
        access = RepositoryAccess(host.repository, kind="helm")
        with pytest.raises(Permanent, match="certificate not trusted; give the CA that signed it"):
            charts.versions(access, "redis")
        assert charts.pull(replace(access, ca=authority.ca), "redis", "1.0.0").name == "redis"
        assert charts.versions(replace(access, insecure=True), "redis") == ("1.0.0",)
        with pytest.raises(Permanent, match="no PEM that can be read"):
            charts.versions(replace(access, ca="no PEM"), "redis")


def test_a_client_certificate(tmp_path: Path, authority: Authority, charts: Charts) -> None:
    with secure(tmp_path / "tls", authority, clients=True) as host:
        access = RepositoryAccess(host.repository, kind="helm", ca=authority.ca)
        with pytest.raises(Temporary):
            charts.versions(access, "redis")
        certificate, key = (path.read_text() for path in authority.server)
        shown = replace(access, client_certificate=certificate, client_key=key)
        assert charts.versions(shown, "redis") == ("1.0.0",)


def test_https_does_not_lead_to_http_unless_a_digest_checks_it(
    tmp_path: Path, authority: Authority, charts: Charts
) -> None:
    with ChartHost(tmp_path / "plain") as plain, secure(tmp_path / "tls", authority) as host:
        plain.publish("redis", "1.0.0")
        access = RepositoryAccess(
            host.repository, kind="helm", ca=authority.ca, username=USER, password=PASSWORD, pass_credentials=True
        )
        url = f"{plain.repository}/redis-1.0.0.tgz"
        digest = digest_of(plain.directory / "redis-1.0.0.tgz")
        host.edit_index(lambda index: index["entries"]["redis"][0].update(urls=[url], digest=digest))
        assert charts.pull(access, "redis", "1.0.0").digest == digest
        assert plain.authorizations() == {""}
        host.answers["/charts/index.yaml"] = Answer(302, headers={"Location": f"{plain.repository}/index.yaml"})
        with pytest.raises(Permanent, match="which is not encrypted"):
            charts.versions(access, "redis")


def test_a_proxy_is_used_where_it_is_wanted(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    index = (host.directory / "index.yaml").read_bytes()
    with WebHost(lambda request: Answer(200, index)) as proxy:
        through = replace(access, proxy=proxy.url.replace("://", "://out:going@"), identity="proxied")
        assert charts.versions(replace(through, url="http://charts.example/stable"), "redis") == ("1.0.0",)
        (asked,) = proxy.requests
        assert asked.path == "http://charts.example/stable/index.yaml"
        assert asked.headers["proxy-authorization"] == basic("out", "going")
        assert charts.versions(replace(through, no_proxy="example.org,127.0.0.1"), "redis") == ("1.0.0",)
        assert len(proxy.requests) == 1 and len(host.requests) == 1


def test_nothing_comes_from_the_environment(
    host: ChartHost, access: RepositoryAccess, charts: Charts, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    host.publish("redis", "1.0.0")
    assert charts.versions(access, "redis") == ("1.0.0",)


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (Answer(503, b"canary"), Temporary, "answered 503"),
        (Answer(429, b"canary", {"Retry-After": "33"}), Temporary, "answered 429"),
        (Answer(404, b"canary"), Permanent, r"does not exist \(HTTP 404\)"),
        (Answer(403, b"canary"), Permanent, "authentication failed"),
        (Answer(200, b"<html>canary"), Permanent, "index"),
        (Answer(200, b"entries: [canary]"), Permanent, "no map of entries"),
        (Answer(200, b""), Permanent, "no map of entries"),
        (Answer(200, b"entries:\n" * 3, {"Content-Length": "5000"}, cut=20), Temporary, "the connection broke off"),
        (Answer(200, b"not packed", {"Content-Encoding": "gzip"}), Temporary, "damaged"),
    ],
)
def test_what_goes_wrong_is_said_and_the_last_index_stays(
    answer: Answer, kind: type[Exception], said: str, host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    host.publish("redis", "1.0.0")
    charts.pull(access, "redis", "1.0.0")
    host.answers["/charts/index.yaml"] = answer
    with pytest.raises(kind, match=said) as raised:
        charts.versions(access, "redis")
    message = str(raised.value)
    assert message.startswith(f"{host.repository}/index.yaml") and "canary" not in message
    if isinstance(raised.value, Temporary) and answer.status == 429:
        assert raised.value.delay == timedelta(seconds=33)
    assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"
    del host.answers["/charts/index.yaml"]
    assert charts.versions(access, "redis") == ("1.0.0",)


def test_an_archive_that_breaks_off_leaves_nothing(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path
) -> None:
    archive = host.publish("redis", "1.0.0").read_bytes()
    host.answers["/charts/redis-1.0.0.tgz"] = Answer(200, archive, cut=len(archive) // 2)
    with pytest.raises(Temporary, match=r"redis-1\.0\.0\.tgz: the connection broke off"):
        charts.pull(access, "redis", "1.0.0")
    assert list((tmp_path / "kept").rglob("*.tgz")) == []
    del host.answers["/charts/redis-1.0.0.tgz"]
    assert charts.pull(access, "redis", "1.0.0").version == "1.0.0"


def test_a_host_that_says_nothing_is_given_up(
    make_charts: MakeCharts, host: ChartHost, access: RepositoryAccess
) -> None:
    charts = make_charts(idle=timedelta(seconds=0.3))
    start = time.monotonic()
    with silent_port() as port, pytest.raises(Temporary, match="does not answer in time"):
        charts.versions(RepositoryAccess(f"http://127.0.0.1:{port}/charts", kind="helm"), "redis")
    host.answers["/charts/index.yaml"] = Answer(200, b"entries:", {"Content-Length": "999"}, stall=5)
    with pytest.raises(Temporary, match="does not answer in time"):
        charts.versions(access, "redis")
    assert time.monotonic() - start < 4


def test_an_index_or_archive_that_is_too_large_is_not_read(
    make_charts: MakeCharts, host: ChartHost, access: RepositoryAccess, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    with pytest.raises(Permanent, match=r"index\.yaml: is larger than the 100 bytes"):
        make_charts(index_size=100).versions(access, "redis")
    with pytest.raises(Permanent, match=r"redis-1\.0\.0\.tgz: is larger than the 100 bytes"):
        make_charts(archive_size=100).pull(access, "redis", "1.0.0")
    host.answers["/charts/index.yaml"] = Answer(200, b"x" * 200, {"Content-Length": "999999999999"})
    with pytest.raises(Permanent, match="is larger than"):
        make_charts().versions(access, "redis")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    "index",
    [
        BOMB.encode(),
        b"entries:\n  redis:\n  - " + b"[" * 200_000,
        b"entries: " + b"[" * 200_000,
        b"entries: " + b"{" * 200_000,
        b"entries: !!python/object/apply:os.system ['touch /tmp/never']\n",
        b"entries:\n  redis: 7\n",
        b"entries:\n  redis:\n  - [1]\n  redis:\n  - [1]\n",
        b"\xff\xfe\x00",
    ],
)
def test_hostile_indexes_are_refused(index: bytes, host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.answers["/charts/index.yaml"] = Answer(200, index)
    with pytest.raises(Permanent, match=r"^http://127\.0\.0\.1:\d+/charts/index\.yaml"):
        charts.versions(access, "redis")


def test_entries_of_an_index_that_make_no_sense_are_left_out(
    host: ChartHost, access: RepositoryAccess, charts: Charts
) -> None:
    index = (
        b'{"entries": {"redis": [7, null, {"version": 1}, {"version": "2.0.0"}, {"version": "1.0.0", "urls": ["x"]}]}}'
    )
    host.answers["/charts/index.yaml"] = Answer(200, index)
    assert charts.versions(access, "redis") == ("1.0.0",)


@pytest.mark.parametrize("name", ["../redis", "a/b", "", ".", "..", "a\nb"])
def test_a_chart_name_is_no_path(name: str, access: RepositoryAccess, charts: Charts) -> None:
    with pytest.raises(Permanent, match="cannot be a chart's name"):
        charts.versions(access, name)


def test_control_characters_cannot_become_headers(access: RepositoryAccess, charts: Charts) -> None:
    with pytest.raises(Permanent, match="password must not contain control characters"):
        charts.versions(replace(access, username="x", password="y\r\nX-Evil: 1"), "redis")


def test_other_credentials_see_another_repository(host: ChartHost, access: RepositoryAccess, charts: Charts) -> None:
    host.publish("redis", "1.0.0")
    charts.pull(access, "redis", "1.0.0")
    assert charts.known(replace(access, username="eve", password="x"), "redis", "1.0.0") is None


def test_an_index_that_went_from_the_disk_is_asked_for_again(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    charts.versions(access, "redis")
    for path in (tmp_path / "kept" / "repositories").glob("*/index-*"):
        path.unlink()
    assert charts.versions(access, "redis", fresh=False) == ("1.0.0",), "not to have an index is no empty one"


def test_a_former_index_stays_for_those_who_are_about_to_read_it(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    charts.versions(access, "redis")
    former = sorted((tmp_path / "kept" / "repositories").glob("*/index-*"))
    for path in former:
        os.utime(path, (time.time() - 86400,) * 2)
    host.publish("redis", "1.1.0")
    charts.versions(access, "redis")
    assert former and all(path.exists() for path in former)
    for path in former:
        os.utime(path, (time.time() - 86400,) * 2)
    host.publish("redis", "1.2.0")
    charts.versions(access, "redis")
    assert not any(path.exists() for path in former)


def test_an_index_that_names_other_content_than_what_is_meant_is_asked_for_again(
    host: ChartHost, access: RepositoryAccess, make_charts: MakeCharts, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    other_machine = make_charts(tmp_path / "other")
    before = other_machine.pull(access, "redis", "1.0.0")
    meant = digest_of(host.publish("redis", "1.0.0", {"values.yaml": "greeting: again\n"}))
    assert other_machine.pull(access, "redis", "1.0.0") == before
    assert other_machine.pull(access, "redis", "1.0.0", meant).digest == meant


def test_a_name_that_is_gone_when_it_is_asked_for_again_opens_no_way_inside(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolve, asked = socket.getaddrinfo, []

    def fickle(name: str, *arguments: Any, **more: Any) -> Any:
        if name != "charts.test":
            return resolve(name, *arguments, **more)
        asked.append(name)
        if len(asked) > 1:
            raise socket.gaierror(socket.EAI_AGAIN, "try again")
        return resolve("127.0.0.1", *arguments, **more)

    monkeypatch.setattr(socket, "getaddrinfo", fickle)
    with ChartHost(tmp_path / "inside") as inside:
        inside.publish("redis", "1.0.0")
        host.publish("redis", "1.0.0")
        host.edit_index(
            lambda index: index["entries"]["redis"][0].update(urls=[f"{inside.repository}/redis-1.0.0.tgz"])
        )
        elsewhere = replace(access, url=access.url.replace("127.0.0.1", "charts.test"))
        charts.versions(elsewhere, "redis")
        with pytest.raises(Temporary, match="host unknown"):
            charts.pull(elsewhere, "redis", "1.0.0")
        assert not inside.requests
