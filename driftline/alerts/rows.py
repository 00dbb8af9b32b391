"""Alerts and messages as plain JSON, for the store's columns, and back."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from driftline.alerts.outgoing import Outgoing
from driftline.alerts.state import OpenAlert
from driftline.model.alert import Condition, Edge, Message

_TIMES = ("fired_at", "told_at", "ended_at", "quiet_since", "burst_since")


def encode_alert(alert: OpenAlert) -> dict[str, Any]:
    """An alert as JSON values; times in ISO 8601."""
    row = {**asdict(alert), "condition": str(alert.condition)}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}


def decode_alert(row: Mapping[str, Any]) -> OpenAlert:
    """Read what `encode_alert` wrote; unknown names, of a newer release, are ignored."""
    known = {name: row[name] for name in OpenAlert.__dataclass_fields__ if name in row}
    times = {name: datetime.fromisoformat(known[name]) for name in _TIMES if known.get(name)}
    return OpenAlert(**{**known, **times, "condition": Condition(row["condition"])})


def encode_outgoing(outgoing: Outgoing) -> dict[str, Any]:
    """A message on its way as JSON values."""
    return asdict(outgoing)


def decode_outgoing(row: Mapping[str, Any]) -> Outgoing:
    """Read what `encode_outgoing` wrote."""
    message = dict(row["message"])
    message["fields"] = tuple((str(name), str(value)) for name, value in message.get("fields", ()))
    message["edge"] = Edge(message.get("edge", Edge.ONCE))
    known = {name: row[name] for name in Outgoing.__dataclass_fields__ if name in row}
    return Outgoing(**{**known, "message": Message(**message)})
