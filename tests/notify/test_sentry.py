"""What reaches Sentry, read from a real envelope at a server of our own: the error, and no credential."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from driftline.adapters import sentry
from driftline.model.errors import Permanent

CANARY = "c4nary-7f3a9-value"

PROGRAM = """
import logging, sys
from driftline.adapters import logs, sentry
from driftline.model.masking import scrub

canary = open(sys.argv[2]).read()
logs.setup("worker")
assert sentry.setup(sys.argv[1], "worker", "1.2.3", "testing", traces=1)

import flask, sentry_sdk
app = flask.Flask("app")

@app.post("/api/webhook")
def hook():
    password = canary
    everything = {"kind": "Secret", "data": {"x": canary}}
    logging.getLogger("kombu").warning("connecting to redis://:%s@cache:6379/0", canary)
    data = {"token": canary, "object": everything}
    sentry_sdk.add_breadcrumb(message=f"git fetch https://u:{canary}@host/a", data=data)
    sentry_sdk.set_extra("settings", {"smtp_password": canary, "list": [everything]})
    sentry_sdk.set_context("request", {"authorization": canary})
    raise RuntimeError(f"cannot clone https://bob:{canary}@git.example.com/a.git")

client = app.test_client()
headers = {"X-Gitlab-Token": canary, "Authorization": f"Bearer {canary}", "Cookie": f"session={canary}"}
client.post(f"/api/webhook?access_token={canary}", json={"body": canary}, headers=headers)
import structlog
structlog.get_logger().error("fetch failed", url=f"https://u:{canary}@h/", db_password=canary, attempt=3)
logging.getLogger("celery").error("job 7 failed: password=%s", canary)
with sentry_sdk.start_transaction(name=f"job https://u:{canary}@h", sampled=True) as transaction:
    with transaction.start_child(op="db", name=f"select password={canary}") as span:
        span.set_data("token", canary)
sentry_sdk.flush(5)
"""


@pytest.fixture
def ingest() -> Iterator[tuple[str, list[bytes]]]:
    """A Sentry DSN and the envelopes that were sent to it, decompressed."""
    envelopes: list[bytes] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["Content-Length"]))
            envelopes.append(gzip.decompress(raw) if self.headers.get("Content-Encoding") == "gzip" else raw)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing to say."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://public@127.0.0.1:{server.server_address[1]}/1", envelopes
    server.shutdown()
    server.server_close()


def items(envelopes: list[bytes], kind: str) -> list[dict[str, Any]]:
    found = []
    for envelope in envelopes:
        lines = envelope.splitlines()
        found += [
            json.loads(body)
            for head, body in zip(lines[1::2], lines[2::2], strict=False)
            if json.loads(head)["type"] == kind
        ]
    return found


def test_an_error_arrives_complete_and_masked(ingest: tuple[str, list[bytes]], tmp_path: Path) -> None:
    dsn, envelopes = ingest
    (tmp_path / "canary").write_text(CANARY)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, dsn, str(tmp_path / "canary")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert CANARY.encode() not in b"".join(envelopes)
    assert CANARY not in done.stderr + done.stdout
    events = items(envelopes, "event")
    clone = next(event for event in events if "exception" in event)
    assert clone["exception"]["values"][-1]["value"] == "cannot clone https://***@git.example.com/a.git"
    assert (clone["release"], clone["environment"], clone["server_name"], clone["tags"]["role"]) == (
        "1.2.3", "testing", "worker", "worker",
    )  # fmt: skip
    frames = clone["exception"]["values"][-1]["stacktrace"]["frames"]
    assert frames and not any("vars" in frame for frame in frames)
    assert not clone["request"].get("data") and not clone["request"].get("cookies")
    assert any("job 7 failed" in json.dumps(event) for event in events)
    (fetch,) = [event for event in events if event.get("logentry", {}).get("message") == "fetch failed"]
    assert fetch["extra"]["url"] == "https://***@h/" and fetch["extra"]["attempt"] == 3
    assert {item["transaction"] for item in items(envelopes, "transaction")} == {"hook", "job https://***@h"}


def test_without_a_dsn_nothing_is_reported_or_even_loaded() -> None:
    code = (
        "from driftline.adapters import sentry; import sys; print(sentry.setup('', 'web'), 'sentry_sdk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("dsn", ["not a dsn", "https://host/1", f"ftp://{CANARY}@host/1", f"https://{CANARY}@host/"])
def test_a_wrong_dsn_is_said_without_repeating_it(dsn: str) -> None:
    with pytest.raises(Permanent, match="DRIFTLINE_SENTRY_DSN: not a DSN") as raised:
        sentry.setup(dsn, "web")
    assert CANARY not in str(raised.value)
