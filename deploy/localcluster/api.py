"""A small HTTPS client for the local control plane: its start, and hand edits in tests. Called by localcluster."""

import json
import ssl
from pathlib import Path
from typing import Any

import urllib3


class Api:
    """Raw requests as one identity. `directory` holds `ca.crt`, `<user>.crt` and `<user>.key`."""

    def __init__(self, server: str, directory: Path, user: str) -> None:
        context = ssl.create_default_context(cafile=str(directory / "ca.crt"))
        context.load_cert_chain(directory / f"{user}.crt", directory / f"{user}.key")
        self._server = server
        self._pool = urllib3.PoolManager(num_pools=2, maxsize=8, ssl_context=context, retries=False)

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", timeout: float = 30
    ) -> tuple[int, Any]:
        """The status and the JSON (or text) of one answer. Raises urllib3's HTTPError if there is none."""
        answer = self._pool.request(
            method,
            self._server + path,
            body=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": content_type, "Accept": "application/json"},
            timeout=urllib3.Timeout(connect=2, read=timeout),
        )
        if "json" in answer.headers.get("Content-Type", ""):
            return answer.status, json.loads(answer.data)
        return answer.status, answer.data.decode()

    def close(self) -> None:
        self._pool.clear()
