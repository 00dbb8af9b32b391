"""Reads what the processes of a bench have counted about themselves, and what their broker has."""

import os
import struct
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import redis

from bench.counting.sitecustomize import LABEL, NAMES
from driftline.adapters.settings import Settings

COUNTING = Path(__file__).parent / "counting"
ROLES = (("gunicorn", "web"), ("workers.start_watch", "watch"), ("beat", "beat"), ("workers.supervise", "worker"))


def environment(directory: Path) -> dict[str, str]:
    """Environment variables with which every Python process of an installation counts into a directory."""
    directory.mkdir(parents=True, exist_ok=True)
    known = os.environ.get("PYTHONPATH", "")
    return {"BENCH_COUNTS": str(directory), "PYTHONPATH": os.pathsep.join(filter(None, (str(COUNTING), known)))}


def counted(directory: Path) -> dict[str, Counter[str]]:
    """Role -> what its processes have counted so far, ended ones included."""
    found: dict[str, Counter[str]] = {}
    for file in directory.iterdir():
        if not file.name.isdigit():
            continue
        content = file.read_bytes()
        role = role_of(content[:LABEL].rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace"))
        numbers = struct.unpack_from(f"{len(NAMES)}q", content, LABEL)
        found.setdefault(role, Counter()).update(dict(zip(NAMES, numbers, strict=True)))
    return found


def role_of(command: str) -> str:
    """Whose process a command line is: web, worker, beat, watch or other."""
    words = command.split()
    return next((role for word, role in ROLES if word in words), "other")


def starts(directory: Path) -> list[str]:
    """Command lines of all processes that were started so far."""
    return _lines(directory / "starts.log")


def statements(directory: Path) -> list[str]:
    """All statements so far, in the order of their ends."""
    return _lines(directory / "statements.log")


def shape(sql: str) -> str:
    """What a statement is, without columns and parameters: `SELECT sync`, `INSERT job`."""
    words = sql.replace("(", " ( ").split()
    verb = next((word for word in words if word.upper() in ("SELECT", "INSERT", "UPDATE", "DELETE")), "")
    before = {"SELECT": "FROM", "INSERT": "INTO", "UPDATE": "UPDATE", "DELETE": "FROM"}.get(verb.upper(), "")
    places = [index for index, word in enumerate(words[:-1]) if word.upper() == before]
    return f"{verb.upper()} {words[places[0] + 1].strip(',()')}" if places else verb.upper()


def _lines(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def since(now: Mapping[str, Counter[str]], before: Mapping[str, Counter[str]]) -> dict[str, Counter[str]]:
    """What came on top, by role."""
    return {role: counts - before.get(role, Counter()) for role, counts in now.items()}


def messages(settings: Settings) -> int:
    """Messages that were put into the broker's queues since it started: one LPUSH each."""
    client = redis.Redis(unix_socket_path=str(settings.broker_socket))
    try:
        return int(client.info("commandstats").get("cmdstat_lpush", {}).get("calls", 0))
    finally:
        client.close()
