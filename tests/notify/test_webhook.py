"""Alerts as JSON to URLs that tenants choose: signed, and never to the inside."""

import hashlib
import hmac
import json
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from driftline.adapters.http.addresses import Refused, allowed, checked_addresses
from driftline.adapters.http.waiting import retry_after
from driftline.adapters.notify import NotifySettings, WebhookSettings, egress, send
from driftline.model.errors import Permanent, Temporary
from tests.kit.slackhost import Failure, SlackHost
from tests.notify.messages import outgoing

INSIDE = NotifySettings(webhook=WebhookSettings(allow_private=True))


@pytest.mark.covers("NOT-07")
def test_an_alert_is_posted_as_signed_json(slack: SlackHost) -> None:
    item = outgoing("webhook", slack.webhook_url)
    send(item, "", NotifySettings(webhook=WebhookSettings("shared", allow_private=True)))
    (call,) = slack.calls
    assert call.headers["x-driftline-delivery"] == item.dedupe_key == call.body["id"]
    assert (call.body["edge"], call.body["condition"], call.body["subject"]) == ("fire", "on-sync-failed", "app:shop")
    assert call.body["title"] == "shop: sync failed" and call.body["fields"]["Application"] == "shop"
    expected = hmac.new(b"shared", call.raw, hashlib.sha256).hexdigest()
    assert call.headers["x-driftline-signature"] == f"sha256={expected}"


def test_without_a_secret_nothing_is_signed_and_a_login_in_the_url_is_used(slack: SlackHost) -> None:
    url = slack.webhook_url.replace("://", "://bob:pass%21@")
    send(outgoing("webhook", url), "", INSIDE)
    assert "x-driftline-signature" not in slack.calls[0].headers
    assert slack.calls[0].headers["authorization"] == "Basic Ym9iOnBhc3Mh"


@pytest.mark.parametrize(
    ("failure", "kind", "wait"),
    [
        (Failure(429, "canary", {"Retry-After": "33"}), Temporary, 33),
        (Failure(503, "canary"), Temporary, 10),
        (Failure(500, "canary"), Temporary, 10),
        (Failure(408, "canary"), Temporary, 10),
        (Failure(404, "canary"), Permanent, 0),
        (Failure(401, "canary"), Permanent, 0),
        (Failure(302, "canary", {"Location": "http://169.254.169.254/"}), Permanent, 0),
    ],
)
def test_the_status_decides_whether_to_try_again(
    slack: SlackHost, failure: Failure, kind: type[Exception], wait: int
) -> None:
    slack.fail_next(failure)
    with pytest.raises(kind) as raised:
        send(outgoing("webhook", slack.webhook_url), "", INSIDE)
    assert "canary" not in str(raised.value) and "hook-secret" not in str(raised.value)
    assert str(failure.status) in str(raised.value)
    if isinstance(raised.value, Temporary):
        assert raised.value.delay == timedelta(seconds=wait)
    assert len(slack.calls) == 1


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]",
        "0.0.0.0", "[::]", "169.254.169.254", "2852039166", "[fe80::1]", "10.0.0.1", "192.168.1.1", "172.16.0.1",
        "100.64.0.1", "[fd00:ec2::254]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "224.0.0.1",
        "bob@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1%00.example.com", "[fec0::1]",
    ],
)  # fmt: skip
def test_no_spelling_of_an_address_inside_gets_through(slack: SlackHost, host: str) -> None:
    with pytest.raises((Permanent, Temporary)) as raised:
        send(outgoing("webhook", f"http://{host}:{slack.port}/services/x"), "", NotifySettings())
    assert slack.calls == []
    assert "inside" in str(raised.value) or "not an http" in str(raised.value) or "resolved" in str(raised.value)
    assert "/services/x" not in str(raised.value)


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "fe80::1",
        "0.0.0.0",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "fd00:ec2::254",
        "100.100.100.200",
    ],
)
def test_cloud_metadata_stays_closed_even_where_private_addresses_are_open(address: str) -> None:
    assert not allowed(address, allow_private=True)
    assert allowed("10.0.0.1", allow_private=True) and allowed("1.1.1.1", allow_private=False)


def test_slack_webhook_urls_obey_the_same_rules(slack: SlackHost) -> None:
    with pytest.raises(Permanent, match="inside"):
        send(outgoing("slack", slack.webhook_url), "", NotifySettings())
    assert slack.calls == []


def test_one_inside_address_among_several_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(2, 1, 6, "", ("93.184.216.34", 80)), (2, 1, 6, "", ("10.0.0.7", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(Refused, match=r"10\.0\.0\.7"):
        checked_addresses("rebind.example", 80, allow_private=False)


def test_a_name_cannot_change_its_mind_between_check_and_connection(
    slack: SlackHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def first_outside_then_inside(host: str, port: int, **_: object) -> list[object]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    connected: list[object] = []

    def connect(address: tuple[str, int], *_: object, **__: object) -> None:
        connected.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", first_outside_then_inside)
    monkeypatch.setattr(socket, "create_connection", connect)
    with pytest.raises(Temporary):
        send(outgoing("webhook", f"http://rebind.example:{slack.port}/"), "", NotifySettings())
    assert asked == ["rebind.example"] and connected == ["93.184.216.34"]


@pytest.mark.parametrize(
    "url", ["ftp://h/x", "file:///etc/passwd", "gopher://h", "h/x", "", "http://", "http://h:99999/", "http://[::/"]
)
def test_what_is_no_web_address_is_final(url: str) -> None:
    with pytest.raises(Permanent, match="not an http or https URL"):
        send(outgoing("webhook", url), "", NotifySettings())


def test_a_proxy_in_the_environment_sees_nothing(slack: SlackHost, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    send(outgoing("webhook", slack.webhook_url), "", INSIDE)
    assert len(slack.messages) == 1


@contextmanager
def server(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                try:
                    talk(connection)
                except OSError:
                    pass

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]


def drip(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        connection.sendall(f"X-{number}: y\r\n".encode())
        time.sleep(0.05)


def endless(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000000\r\n\r\n")
    while True:
        connection.sendall(b"x" * 65536)


def test_an_answer_that_drips_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "DEADLINE", 0.5)
    start = time.monotonic()
    with server(drip) as port, pytest.raises(Temporary, match="no answer within"):
        send(outgoing("webhook", f"http://127.0.0.1:{port}/"), "", INSIDE)
    assert time.monotonic() - start < 3


def test_an_endless_answer_is_not_read() -> None:
    with server(endless) as port:
        send(outgoing("webhook", f"http://127.0.0.1:{port}/"), "", INSIDE)


@pytest.mark.parametrize("said", [b"", b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"])
def test_a_broken_answer_is_tried_again(said: bytes) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(said)

    with server(talk) as port, pytest.raises(Temporary):
        send(outgoing("webhook", f"http://127.0.0.1:{port}/"), "", INSIDE)


def test_an_untrusted_certificate_stops_the_message(server_tls: ssl.SSLContext) -> None:
    received: list[bytes] = []

    def talk(connection: socket.socket) -> None:
        with server_tls.wrap_socket(connection, server_side=True) as secure:
            received.append(secure.recv(10))

    with server(talk) as port, pytest.raises(Temporary, match="certificate is not trusted"):
        send(outgoing("webhook", f"https://127.0.0.1:{port}/"), "", INSIDE)
    assert received in ([], [b""])


def test_a_host_that_does_not_exist_is_tried_again() -> None:
    with pytest.raises(Temporary, match="cannot be resolved"):
        send(outgoing("webhook", "https://no-such-host.invalid/hook"), "", NotifySettings())


def test_waits_that_servers_ask_for() -> None:
    now = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
    asked = {
        "17": 17,
        "999999999999": 86400,
        "Sun, 01 Mar 2026 14:01:00 GMT": 60,
        "Sun, 01 Mar 2026 13:00:00 GMT": 1,
        "Sun, 01 Mar 2026 14:01:00": 10,
        "soon": 10,
        "-5": 10,
        "\u00b2": 10,
        "": 10,
    }
    assert {text: retry_after({"retry-after": text}, now).total_seconds() for text in asked} == asked


def test_an_unknown_channel_is_said() -> None:
    with pytest.raises(Permanent, match="pager: no such channel; use one of slack, email, webhook"):
        send(outgoing("pager", "x"), "", NotifySettings())


def test_the_body_is_plain_json_for_any_reader(slack: SlackHost) -> None:
    send(outgoing("webhook", slack.webhook_url), "", INSIDE)
    assert json.loads(slack.calls[0].raw)["version"] == 1
