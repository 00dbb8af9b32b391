"""Messages to send in the tests of channels."""

from datetime import UTC, datetime

from driftline.alerts.outgoing import Outgoing, messages_for
from driftline.alerts.state import AlertChange, transition
from driftline.model.alert import Condition, Recipient, Signal

NOW = datetime(2026, 3, 1, 14, 0, tzinfo=UTC)
HOSTILE = "<!channel> <http://evil.example|click>\r\nBcc: evil@example.com\r\n\r\n& <img src=x onerror=alert(1)> \u202e"


def begin(message: str = "it broke", app: str = "shop") -> AlertChange:
    """Trouble that begins."""
    signal = Signal(Condition.SYNC_FAILED, f"app:{app}", True, "rev", facts={"application": app, "message": message})
    (change,) = transition(signal, None, NOW)
    return change


def end(change: AlertChange) -> AlertChange:
    """The same trouble, over."""
    over = Signal(change.alert.condition, change.alert.subject, False, facts={"how": "sync 18 succeeded"})
    (ended,) = transition(over, change.alert, NOW)
    return ended


def outgoing(channel: str, address: str, change: AlertChange | None = None) -> Outgoing:
    """One message to one address."""
    (item,) = messages_for(change or begin(), [Recipient(channel, address)], link="https://driftline.example/a?x=1&y=2")
    return item
