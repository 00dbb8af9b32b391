"""Messages on their way: one per change and recipient, when to try again, and one summary where many have piled up.

Flow saves `Outgoing` rows with the change that caused them (`dedupe_key` unique), sends them later and calls
`next_attempt` after each failure.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from html import escape

from driftline.alerts.state import AlertChange
from driftline.alerts.texts import message_for
from driftline.model.alert import Edge, Message, Recipient
from driftline.model.errors import Permanent, Temporary

GIVE_UP_AFTER = timedelta(days=1)
"""How long a message is tried; after that it is dead, and shown as such."""
FIRST_WAIT = timedelta(seconds=10)
LONGEST_WAIT = timedelta(minutes=30)
FOLD_ABOVE = 3
"""How many messages may wait for one address before they become one summary."""
_SUMMARY_LINES = 30


@dataclass(frozen=True)
class Outgoing:
    """One message for one address."""

    channel: str
    address: str
    message: Message
    dedupe_key: str
    """Names exactly this message to this address: unique in the outbox, and sent along so that receivers can tell."""
    thread_key: str
    """The same for everything about one alert at one address: where the answer of `send` is kept and looked up."""
    condition: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Sent:
    """What a channel keeps of a message, for a later one in the same thread; empty where there are no threads."""

    thread: str = ""


@dataclass(frozen=True)
class Folded:
    """One message that is sent in place of several."""

    outgoing: Outgoing
    replaces: tuple[str, ...]
    """The dedupe keys of the rows that are done once it is sent."""


def messages_for(
    change: AlertChange, recipients: Iterable[Recipient], facts: Mapping[str, object] | None = None, link: str = ""
) -> tuple[Outgoing, ...]:
    """The messages that one change sends; none for a change that nobody is told of. `facts` add to the change's own."""
    if change.edge is None or not change.told:
        return ()
    message = message_for(replace(change, facts={**change.facts, **(facts or {})}), link)
    alert = change.alert
    # A reminder of the same episode is another message each time.
    told = alert.told_at.isoformat() if change.edge is Edge.REMIND else ""
    return tuple(
        Outgoing(
            recipient.channel,
            recipient.address,
            message,
            _key(alert.slot, str(alert.episode), change.edge, told, recipient.channel, recipient.address),
            _key(alert.slot, str(alert.episode), recipient.channel, recipient.address),
            str(alert.condition),
            alert.subject,
        )
        for recipient in dict.fromkeys(recipients)
    )


def _key(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()[:32]


def next_attempt(
    attempts: int, error: BaseException, now: datetime, first_at: datetime, key: str = ""
) -> datetime | None:
    """When to try again after `attempts` failures, or None: the message is dead.

    A `Permanent` error is final. Else 10 s, doubling to 30 minutes, plus up to a quarter that depends on `key` (the
    dedupe key), so that what failed together does not come back together; a longer wait that the other side asked for
    (`Temporary.delay`) is honoured. Nothing is tried later than a day after `first_at`.
    """
    if isinstance(error, Permanent):
        return None
    wait = min(FIRST_WAIT * 2 ** min(max(attempts - 1, 0), 16), LONGEST_WAIT)
    if isinstance(error, Temporary):
        wait = max(wait, error.delay)
    share = int(_key(key, str(attempts))[:8], 16) / 0xFFFFFFFF
    at = now + wait * (1 + share / 4)
    return at if at <= first_at + GIVE_UP_AFTER else None


def fold(waiting: Sequence[Outgoing], at_most: int = FOLD_ABOVE) -> tuple[Folded, ...]:
    """What is sent for the messages that wait for *one* address, oldest first: themselves, or one summary if many wait.

    So a channel that was away for an hour, or a commit that broke thirty applications, brings one message.
    """
    if len(waiting) <= at_most:
        return tuple(Folded(item, (item.dedupe_key,)) for item in waiting)
    ended = {item.thread_key for item in waiting if item.message.edge is Edge.RECOVER}
    lines = [_summary_line(item, ended) for item in waiting]
    shown = lines[:_SUMMARY_LINES]
    if len(lines) > len(shown):
        shown.append(f"and {len(lines) - len(shown)} more")
    still = len({item.thread_key for item in waiting if item.message.edge in (Edge.FIRE, Edge.REMIND)} - ended)
    title = f"{len(waiting)} alerts" + (f", {still} still open" if still else ", none still open")
    rows = "".join(f"<li>{escape(line)}</li>" for line in shown)
    message = Message(
        title,
        "\n".join([title, "", *shown]) + "\n",
        f"<!doctype html>\n<html><body><h2>{escape(title)}</h2><ul>{rows}</ul></body></html>\n",
        edge=Edge.FIRE if still else Edge.ONCE,
    )
    keys = tuple(item.dedupe_key for item in waiting)
    first = waiting[0]
    summary = Outgoing(first.channel, first.address, message, _key(*keys), _key("summary", *keys), "summary", "")
    return (Folded(summary, keys),)


def _summary_line(item: Outgoing, ended: set[str]) -> str:
    over = item.message.edge in (Edge.FIRE, Edge.REMIND) and item.thread_key in ended
    return f"{item.message.title}{' (over)' if over else ''}" + (f" {item.message.link}" if item.message.link else "")
