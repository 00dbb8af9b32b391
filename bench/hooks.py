"""Sends webhooks of GitHub's shape and takes the time. Imports little: the load generator is a process of its own."""

import hmac
import http.client
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Sent:
    """One delivery: when it was begun (seconds since 1970), how long its answer took (seconds), its status."""

    at: float
    took: float
    status: int


@dataclass(frozen=True)
class Receiver:
    """Where deliveries go, and the secret that signs them."""

    url: str
    secret: str

    def prepare(self, payload: Mapping[str, object]) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a delivery with a new id."""
        body = json.dumps(payload).encode()
        signature = hmac.new(self.secret.encode(), body, "sha256").hexdigest()
        return body, {
            "Content-Type": "application/json",
            "User-Agent": "GitHub-Hookshot/bench",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={signature}",
        }

    def send(self, payload: Mapping[str, object]) -> Sent:
        """Send over a connection of its own, as Git hosts do; the connection is part of the time."""
        body, headers = self.prepare(payload)
        parts = urlsplit(self.url)
        at, start = time.time(), time.perf_counter()
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            connection.request("POST", parts.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            return Sent(at, time.perf_counter() - start, answer.status)
        finally:
            connection.close()
