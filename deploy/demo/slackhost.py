"""A server that speaks the part of Slack's API that alerts use: `python deploy/demo/slackhost.py PORT FOLDER`.

It answers `/api/chat.postMessage` (any token but `revoked`) and `/services/...` (incoming webhooks), keeps what it was
sent, and fails on request as Slack does: `fail_next(...)`.
"""

import json
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

LARGEST = 1 << 20


@dataclass(frozen=True)
class Call:
    """One request: its path, headers in lower case, the decoded body, and the answer's `ts` if it posted a message."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]
    ts: str = ""
    raw: bytes = b""


@dataclass(frozen=True)
class Failure:
    """What the next request gets instead of success."""

    status: int = 200
    error: str = ""
    """Slack's error code, sent as `{"ok": false, "error": ...}`; with another status than 200, the plain text."""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0
    """Seconds to wait before answering."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is no news."""


class SlackHost:
    """The server on the loopback, running in threads while used as a context. `calls` is what arrived, in order."""

    def __init__(self, port: int = 0, folder: Path | None = None) -> None:
        self.calls: list[Call] = []
        self.channels = {"#deploys": "C0DEPLOYS", "#ops": "C0OPS"}
        self._folder = folder
        self._failures: deque[Failure] = deque()
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def api_url(self) -> str:
        """The base URL to give to the product (`DRIFTLINE_SLACK_API_URL`)."""
        return f"http://127.0.0.1:{self.port}/api/"

    @property
    def webhook_url(self) -> str:
        """An incoming webhook."""
        return f"http://127.0.0.1:{self.port}/services/T0/B0/hook-secret"

    @property
    def messages(self) -> list[Mapping[str, Any]]:
        """The bodies of the messages that were accepted."""
        return [call.body for call in self.calls if call.ts]

    def fail_next(self, *failures: Failure) -> None:
        """Answer the next requests with these, one each."""
        with self._lock:
            self._failures.extend(failures)

    def wait_for(self, count: int, seconds: float = 10) -> list[Mapping[str, Any]]:
        """The accepted messages, once there are `count` of them. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while len(self.messages) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {seconds:g} s")
            time.sleep(0.01)
        return self.messages

    def __enter__(self) -> "SlackHost":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    def answer(self, path: str, headers: Mapping[str, str], raw: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """What one request gets: status, headers, body. It is recorded before the answer leaves."""
        body = _decode(headers.get("content-type", ""), raw)
        with self._lock:
            failure = self._failures.popleft() if self._failures else None
        if failure:
            time.sleep(failure.delay)
            self._record(Call(path, headers, body, raw=raw))
            text = json.dumps({"ok": False, "error": failure.error}) if failure.status == 200 else failure.error
            return failure.status, failure.headers, text.encode()
        if path.startswith("/services/"):
            self._record(Call(path, headers, body, self._ts(), raw))
            return 200, {}, b"ok"
        if path != "/api/chat.postMessage":
            return 404, {}, b"not found"
        return 200, {"Content-Type": "application/json"}, json.dumps(self._post(path, headers, body, raw)).encode()

    def _post(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any], raw: bytes) -> dict[str, Any]:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token in ("", "revoked"):
            return {"ok": False, "error": "token_revoked" if token else "not_authed"}
        channel = str(body.get("channel", ""))
        known = self.channels.get(channel, channel if channel in self.channels.values() else "")
        if not known:
            return {"ok": False, "error": "channel_not_found"}
        call = Call(path, headers, body, self._ts(), raw)
        self._record(call)
        return {"ok": True, "channel": known, "ts": call.ts, "message": {"text": body.get("text", "")}}

    def _ts(self) -> str:
        return f"{time.time():.0f}.{len(self.calls):06}"

    def _record(self, call: Call) -> None:
        with self._lock:
            self.calls.append(call)
            number = len(self.calls)
        if self._folder and call.ts:
            self._folder.mkdir(parents=True, exist_ok=True)
            (self._folder / f"{number:04}.json").write_text(json.dumps(call.body, indent=2, ensure_ascii=False))

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        host = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                length = min(int(self.headers.get("Content-Length") or 0), LARGEST)
                headers = {name.lower(): value for name, value in self.headers.items()}
                status, extra, body = host.answer(self.path, headers, self.rfile.read(length))
                self.send_response(status)
                for name, value in {"Content-Type": "text/plain", **extra, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *arguments: object) -> None:
                """Say nothing: whoever runs this shows what it wants to show."""

        return Handler


def _decode(content_type: str, raw: bytes) -> Mapping[str, Any]:
    text = raw.decode("utf-8", "replace")
    if "json" in content_type:
        try:
            body = json.loads(text)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}
    form = {name: values[-1] for name, values in parse_qs(text).items()}
    return {
        name: _json(value) if name in ("blocks", "attachments", "metadata") else value for name, value in form.items()
    }


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def main(port: int, folder: Path) -> None:
    """Run until interrupted; each accepted message becomes a file of its own in `folder`."""
    with SlackHost(port, folder):
        threading.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdecimal():
        raise SystemExit("usage: slackhost.py PORT FOLDER")
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        pass
