"""Reads what the demo's catchers have kept, as a person would see it. Called by the story."""

import email
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

_LINK = re.compile(r"<(https?://[^|>]+)\|([^>]+)>")
_MARKS = re.compile(r"\*([^*\n]+)\*")


@dataclass(frozen=True)
class Heard:
    """One message: where it went, when it arrived (seconds since the epoch), and its text."""

    title: str
    at: float
    lines: tuple[str, ...]


def read_slack(directory: Path) -> Iterator[Heard]:
    """The Slack messages, in order."""
    for path in sorted((directory / "slack").glob("*.json")):
        message = json.loads(path.read_text())
        thread = " (in its thread)" if message.get("thread_ts") else ""
        yield Heard(f"Slack {message['channel']}{thread}", path.stat().st_mtime, tuple(_slack_lines(message)))


def _slack_lines(message: Any) -> Iterator[str]:
    yield _plain(message["text"]).splitlines()[0]
    framed = [block for each in message.get("attachments") or () for block in each.get("blocks") or ()]
    for block in [*(message.get("blocks") or ()), *framed]:
        if block.get("fields"):
            for each in block["fields"]:
                yield ": ".join(_plain(each["text"]).splitlines())
            continue
        parts = [block, *block.get("elements", ())]
        texts = [each["text"] for each in parts if "text" in each]
        for text in texts:
            yield from _plain(text["text"] if isinstance(text, dict) else text).splitlines()


def _plain(text: str) -> str:
    """Slack's markup as it is shown."""
    return html.unescape(_MARKS.sub(r"\1", _LINK.sub(r"\2: \1", text)))


def read_mail(directory: Path) -> Iterator[Heard]:
    """The mails, in order, in their plain form."""
    for path in sorted((directory / "mail").glob("*.eml")):
        mail = email.message_from_bytes(path.read_bytes(), policy=policy.default)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain",))
        text = body.get_content().strip().splitlines() if body else []
        yield Heard(f"Mail to {mail['To']}", path.stat().st_mtime, (f"Subject: {mail['Subject']}", *text))
