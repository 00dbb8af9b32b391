"""The schemas that an API server publishes, one document a group version, kept by their hash. Called by cluster."""

import os
import re
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

_HASH = re.compile(r"[0-9A-Fa-f]{16,256}")


def index_path(group: str, version: str) -> str:
    """The name of a group version in the index of /openapi/v3."""
    return f"apis/{group}/{version}" if group else f"api/{version}"


def hash_of(url: str) -> str:
    """The `hash=` of a document's URL, empty if it has none or a strange one: it becomes a file name."""
    found = parse_qs(urlsplit(url).query).get("hash", [""])[0]
    return found if _HASH.fullmatch(found) else ""


class Documents:
    """Documents of one cluster by hash, all in `directory`, for every process and for the next start.

    None is kept in memory: who reads one keeps what it needs of it, and a parsed document takes megabytes.
    Never shared between clusters: a hash is what an API server says it is.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def get(self, digest: str, fetch: Callable[[], bytes]) -> Mapping[str, Any]:
        """The document with this hash, fetched if nobody has it yet. An empty hash is never kept."""
        document = self._from_disk(digest) if digest else None
        if document is None:
            content = fetch()
            document = orjson.loads(content)
            if digest:
                self._to_disk(digest, content)
        return document

    def _from_disk(self, digest: str) -> Mapping[str, Any] | None:
        if self._directory is None:
            return None
        try:
            document: Mapping[str, Any] = orjson.loads((self._directory / f"{digest}.json").read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return None
        return document

    def _to_disk(self, digest: str, content: bytes) -> None:
        if self._directory is None:
            return
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            draft = self._directory / f"{digest}.{os.getpid()}-{threading.get_ident()}.new"
            draft.write_bytes(content)
            draft.rename(self._directory / f"{digest}.json")
        except OSError:
            pass  # only slower
