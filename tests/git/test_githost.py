"""The Git host that demo, tests and bench rely on announces pushes as GitHub does."""

import hmac
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.kit.githost import NO_COMMIT, GitHost, Webhook

SECRET = "hook-secret"


class Receiver:
    """Keeps the webhooks that arrive."""

    def __init__(self) -> None:
        self.received: list[tuple[dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(202)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/api/webhook"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_every_changed_ref_is_announced_and_signed(receiver: Receiver, tmp_path: Path) -> None:
    host = GitHost(tmp_path / "host", username="dana", password="pw", webhook=Webhook(receiver.url, SECRET)).start()
    tree = host.checkout("team/shop", tmp_path / "work")
    first = tree.commit("first", {"a": "1"})
    tree.push()
    second = tree.commit("second", {"a": "2"})
    tree.push()
    third = tree.rewrite("third", {"a": "3"})
    tree.push(force=True)
    tree.tag("v1")
    tree.push("refs/tags/v1", "HEAD:refs/heads/other")
    tree.push(":refs/heads/other")
    tree.push()
    host.stop()
    payloads = [json.loads(body) for _, body in receiver.received]
    seen = [(payload["ref"], payload["before"], payload["after"]) for payload in payloads]
    assert sorted(seen) == sorted(
        [
            ("refs/heads/main", NO_COMMIT, first),
            ("refs/heads/main", first, second),
            ("refs/heads/main", second, third),
            ("refs/tags/v1", NO_COMMIT, third),
            ("refs/heads/other", NO_COMMIT, third),
            ("refs/heads/other", third, NO_COMMIT),
        ]
    )
    assert [payload["forced"] for payload in payloads if payload["after"] == third and payload["before"] == second] == [
        True
    ]
    assert [delivery.status for delivery in host.deliveries] == [202] * 6
    for headers, body in receiver.received:
        assert headers["x-github-event"] == "push" and headers["x-github-delivery"]
        assert headers["x-hub-signature-256"] == "sha256=" + hmac.new(SECRET.encode(), body, "sha256").hexdigest()
        assert json.loads(body)["repository"]["clone_url"] == host.url("team/shop")
