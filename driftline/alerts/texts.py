"""Write the message of one alert: title, text, HTML and fields, all masked. Escaping is the channel's duty.

Facts that a signal may carry, all optional: application, project, cluster, namespace, repository, revision, author,
actor, message, results (lines), plan (text), objects (from `drift_facts`), manager, applications (names), job,
attempts, how (what ended it), gone (the application was deleted), confirm (a person has to confirm a deletion),
deleting (the application itself is being deleted), heals (self-heal undoes the drift). Unknown facts are ignored.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import orjson
from jinja2 import ChainableUndefined, DictLoader, pass_context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from driftline.alerts.state import AlertChange, OpenAlert
from driftline.alerts.templates import GONE, HTML, TEXT, WORDS
from driftline.model.alert import Edge, Message
from driftline.model.drift import ABSENT, Verdict
from driftline.model.masking import mask_drift, scrub_value
from driftline.model.objects import Key
from driftline.model.revisions import short

MOST_LINES = 20
"""Lines about one alert; the rest is behind the link."""
LONGEST_LINE = 300
_NAMES_SHOWN = 10
_COLOURS = {Edge.FIRE: "#b42318", Edge.REMIND: "#b54708", Edge.RECOVER: "#067647", Edge.ONCE: "#175cd3"}
_LABELS = {
    "application": "Application",
    "project": "Project",
    "cluster": "Cluster",
    "namespace": "Namespace",
    "repository": "Repository",
    "revision": "Revision",
    "author": "Commit by",
    "actor": "Started by",
}
_OURS = (*(f"{label}:" for label in (*_LABELS.values(), "Since", "Lasted")), "http://", "https://")
"""How lines of ours begin that a foreign one must not pass for."""
# Control characters, and those that reorder or hide text: a commit message must not be able to dress up as our words.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]+")


def message_for(change: AlertChange, link: str = "") -> Message:
    """The message that people get for one told change of an alert. `link` is left out unless it is an http(s) URL."""
    alert, edge = change.alert, change.edge or Edge.ONCE
    facts = _shaped({str(name): value for name, value in scrub_value(dict(change.facts)).items()})
    words, seen = WORDS[alert.condition], {**facts, "subject": _subject(alert)}
    ends = GONE if facts.get("gone") is True else words.ends
    title = _line(_render(ends if edge is Edge.RECOVER else words.begins, seen, alert))
    title = f"Still: {title}" if edge is Edge.REMIND else title
    fields, shown_link = _fields(change, facts), safe_link(link)
    view = {
        "title": title,
        "lines": [] if edge is Edge.RECOVER else _lines(_render(words.about, seen, alert)),
        "ending": _ending(change, facts),
        "next_step": _line(_render(words.next_step, seen, alert)) if edge in (Edge.FIRE, Edge.REMIND) else "",
        "fields": fields,
        "link": shown_link,
        "colour": _COLOURS[edge],
    }
    text = _environment().get_template("message.txt").render(view).strip() + "\n"
    html = _environment().get_template("message.html").render(view)
    return Message(title, text, html, tuple(fields), shown_link, edge)


def drift_facts(
    application: str, verdicts: Iterable[Verdict], clean_until: Mapping[Key, datetime], secret: bytes = b""
) -> dict[str, Any]:
    """Facts of a drift alert from the verdicts of drifted objects. Values are masked here, tails keyed by `secret`.

    `clean_until` says when each object was last seen as Git wants it. The result is plain JSON.
    """
    objects = []
    for verdict in verdicts:
        until = clean_until.get(verdict.key)
        fields = mask_drift(verdict.key, (*verdict.fields, *verdict.leftovers), secret)
        objects.append(
            {
                "key": str(verdict.key),
                "state": str(verdict.state),
                "reason": verdict.reason,
                "clean_until": until.isoformat() if until else "",
                "fields": [
                    {
                        "path": item.path,
                        "desired": item.desired,
                        "live": item.live,
                        "by": item.author.manager,
                        "operation": item.author.operation,
                        "at": item.author.at.isoformat() if item.author.at else "",
                    }
                    for item in fields
                ],
            }
        )
    return {"application": application, "objects": objects}


def safe_link(link: str) -> str:
    """`link` if it is an http or https URL with a host and without login, else the empty text."""
    try:
        parts = urlsplit(link)
        good = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    except ValueError:
        return ""
    return link if good and not re.search(r"[\s<>\"'|\\`]", link) and not _UNSEEN.search(link) else ""


def duration(span: timedelta) -> str:
    """A span for people, in its two largest units: `2 h 5 min`, `40 s`."""
    seconds = max(int(span.total_seconds()), 0)
    units = (("d", seconds // 86400), ("h", seconds // 3600 % 24), ("min", seconds // 60 % 60), ("s", seconds % 60))
    first = next((index for index, (_, count) in enumerate(units) if count), len(units) - 1)
    return " ".join(f"{count} {unit}" for unit, count in units[first : first + 2] if count) or "0 s"


def _subject(alert: OpenAlert) -> str:
    kind, _, name = alert.subject.partition(":")
    return _line(name if kind == "app" else f"{kind} {name}")


def _shaped(facts: dict[str, Any]) -> dict[str, Any]:
    """Facts in the shapes that the templates go through, and only as many drifted fields as a message shows."""
    objects, left, cut = [], MOST_LINES, 0
    for item in _list(facts.get("objects")):
        if not isinstance(item, dict):
            continue
        fields = [field for field in _list(item.get("fields")) if isinstance(field, dict)]
        cut += max(len(fields), 1) if left <= 0 else len(fields[left:])
        if left > 0:
            objects.append({**item, "fields": fields[:left]})
        left -= max(len(fields), 1)
    lists = {name: _list(facts.get(name)) for name in ("results", "applications")}
    return {**facts, **lists, "objects": objects, "more": cut}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _ending(change: AlertChange, facts: Mapping[str, Any]) -> str:
    if change.edge is Edge.RECOVER:
        lasted = f"It lasted {duration(change.lasted)}. " if change.lasted is not None else ""
        how = _line(facts.get("how") or "").rstrip(".")
        return f"{lasted}How it ended: {how or 'the condition no longer holds'}."
    if change.edge is Edge.REMIND and change.lasted is not None:
        return f"It has lasted {duration(change.lasted)} so far."
    if change.flapping:
        return "It comes and goes: further changes are held back until it has been quiet for some minutes."
    return ""


def _fields(change: AlertChange, facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    fields = [(label, _line(facts[name])) for name, label in _LABELS.items() if facts.get(name)]
    if change.edge is not Edge.ONCE:
        fields.append(("Since", f"{change.alert.fired_at:%Y-%m-%d %H:%M:%S} UTC"))
    if change.edge is Edge.RECOVER and change.lasted is not None:
        fields.append(("Lasted", duration(change.lasted)))
    return fields


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    return lines if len(lines) <= MOST_LINES + 2 else [*lines[:MOST_LINES], f"and {len(lines) - MOST_LINES} more lines"]


def _line(value: Any, longest: int = LONGEST_LINE) -> str:
    """One clean line of any value."""
    text = re.sub(r"\s+", " ", _UNSEEN.sub(" ", str(value)[: 8 * longest])).strip()
    return text if len(text) <= longest else f"{text[: longest - 1]}\u2026"


def _block(value: Any) -> str:
    """Several clean lines. All but the first are indented, so that none of them can pass for a line of ours."""
    text = _indented(value)
    first = text.removeprefix("  ")
    return text if first.startswith(_OURS) else first


def _indented(value: Any) -> str:
    """Several lines, each clean and indented."""
    lines = [_line(line) for line in str(value or "").splitlines()[: 2 * MOST_LINES]]
    return "\n".join(f"  {line}" for line in lines if line)


def _value(value: Any) -> str:
    """One side of a difference."""
    if value == ABSENT:
        return "(not set)"
    if isinstance(value, str) and value and value == value.strip():
        return _line(value, 120)
    try:
        return _line(orjson.dumps(value).decode(), 120)
    except (TypeError, ValueError):
        return _line(value, 120)


def _clock(value: Any, day: datetime) -> str:
    """A time of day, with the date if it is not the alert's."""
    try:
        at = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return _line(value)
    at = at.astimezone(day.tzinfo) if at.tzinfo else at
    return f"{at:%H:%M:%S}" if at.date() == day.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def _short(value: Any) -> str:
    return short(_line(value or ""))


def _names(value: Sequence[Any]) -> str:
    names = [_line(name, 80) for name in value]
    rest = len(names) - _NAMES_SHOWN
    return ", ".join(names[:_NAMES_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _count(number: Any, noun: str) -> str:
    return f"{_line(number)} {noun}" if str(number) == "1" else f"{_line(number)} {noun}s"


def _render(source: str, facts: Mapping[str, Any], alert: OpenAlert) -> str:
    return str(_template(source).render({**facts, "alert_day": alert.fired_at}))


@cache
def _template(source: str) -> Any:
    """A compiled template of ours. The sources are few: those of `templates.WORDS`."""
    return _environment().from_string(source)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=DictLoader({"message.txt": TEXT, "message.html": HTML}),
        autoescape=lambda name: bool(name and name.endswith(".html")),
        undefined=ChainableUndefined,
    )
    environment.filters |= {
        "line": _line,
        "block": _block,
        "indented": _indented,
        "value": _value,
        "short": _short,
        "names": _names,
        "count": _count,
    }
    environment.filters["clock"] = pass_context(lambda context, value: _clock(value, context["alert_day"]))
    return environment
