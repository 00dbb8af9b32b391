"""The index of a chart repository, as far as one chart is concerned. Called by the chart adapter's reader.

An index may have 15 MB and a million values, of which one chart takes a hundredth. So that chart's lines are cut out
first, and only they are parsed. Whatever is not written the way Helm writes it is parsed as a whole.
"""

import re
from dataclasses import dataclass
from typing import Any

from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

_TOP = re.compile(rb"^entries:[ \t]*(?:#[^\n]*)?\r?$", re.MULTILINE)
_KEY = rb"(?:[^\s#-]|-(?!\s))"
"""How a key of a map begins; `- ` is an item of a list, which may stand as far left as the key above it."""
_NEXT_TOP = re.compile(rb"^" + _KEY, re.MULTILINE)
_FIRST = re.compile(rb"^( +)([^\s#]\S?)", re.MULTILINE)
_USUAL = re.compile(rb"[\w'\"]|-\S")
"""How the key of a chart begins; `{`, `? `, `&` and the like are for the whole parse."""
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""Names whose spelling as a key is one of three."""
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-fA-F]{64})")


@dataclass(frozen=True)
class Listed:
    """One version of a chart in an index. `urls` may be relative; `digest` is `sha256:<hex>`, or empty."""

    version: str
    digest: str
    urls: tuple[str, ...]


def chart_versions(content: bytes, chart: str, name: str, limits: Limits) -> tuple[Listed, ...]:
    """The versions of `chart`, in the order of the index; empty if it is not listed. `name` is the index for messages.

    Raises Permanent for what is no index. Entries without a version or a URL are left out.
    """
    found = _block(content, chart)
    if found is not None:
        try:
            documents = load_documents(found, name, limits) if found else [{chart: []}]
            return _listed(documents[0][chart], chart, name)
        except (Permanent, LookupError, TypeError):
            pass  # cut out wrongly, or really wrong: the whole of it tells
    documents = load_documents(content, name, limits)
    entries = documents[0].get("entries") if len(documents) == 1 and isinstance(documents[0], dict) else None
    if not isinstance(entries, dict):
        raise Permanent(f"{name}: has no map of entries; is it the index of a chart repository?")
    return _listed(entries.get(chart) or [], chart, name)


def _block(content: bytes, chart: str) -> bytes | None:
    """The lines of one chart; empty if it is not there, None if the index is not laid out in the usual way."""
    top = _TOP.search(content)
    if not _PLAIN.fullmatch(chart) or top is None or _TOP.search(content, top.end()):
        return None
    after = _NEXT_TOP.search(content, top.end())
    end = after.start() if after else len(content)
    first = _FIRST.search(content, top.end(), end)
    if first is None or not _USUAL.match(first[2]):
        return None
    indent = first[1]
    plain = re.escape(chart.encode())
    key = re.compile(rb"^" + indent + rb"(?:%b|'%b'|\"%b\"):([^\n]*)$" % (plain, plain, plain), re.MULTILINE)
    found = list(key.finditer(content, top.end(), end))
    if not found:
        return b""
    if len(found) > 1 or found[0][1].strip():
        return None
    start = found[0].start()
    following = re.compile(rb"^ {1,%d}%b" % (len(indent), _KEY), re.MULTILINE)
    stop = following.search(content, found[0].end() + 1, end)
    return content[start : stop.start() if stop else end]


def _listed(entries: Any, chart: str, name: str) -> tuple[Listed, ...]:
    if not isinstance(entries, list):
        raise Permanent(f"{name}: {chart}: want a list of versions")
    found = (_one(entry) for entry in entries if isinstance(entry, dict))
    return tuple(each for each in found if each is not None)


def _one(entry: dict[str, Any]) -> Listed | None:
    version, urls, digest = entry.get("version"), entry.get("urls"), entry.get("digest")
    if not isinstance(version, str) or not version or not isinstance(urls, list):
        return None
    texts = tuple(url for url in urls if isinstance(url, str) and url)
    match = _DIGEST.fullmatch(str(digest))
    # A digest that is none stays what it is: no archive will fit it.
    return Listed(version, f"sha256:{match[1].lower()}" if match else str(digest or ""), texts) if texts else None
