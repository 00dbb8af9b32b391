"""Delivers messages: one module per channel, and the one table that names them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from driftline.adapters.notify import email, slack, webhook
from driftline.adapters.notify.email import SmtpSettings
from driftline.adapters.notify.slack import SlackSettings
from driftline.adapters.notify.webhook import WebhookSettings
from driftline.alerts.outgoing import Outgoing, Sent
from driftline.model.errors import Permanent

__all__ = ["CHANNELS", "NotifySettings", "SlackSettings", "SmtpSettings", "WebhookSettings", "send"]


@dataclass(frozen=True)
class NotifySettings:
    """How each channel is reached."""

    slack: SlackSettings = field(default_factory=SlackSettings)
    smtp: SmtpSettings = field(default_factory=SmtpSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)


CHANNELS: Mapping[str, Callable[[Outgoing, str, NotifySettings], Sent]] = {
    "slack": lambda outgoing, thread, settings: slack.send(outgoing, thread, settings.slack),
    "email": lambda outgoing, thread, settings: email.send(outgoing, thread, settings.smtp),
    "webhook": lambda outgoing, thread, settings: webhook.send(outgoing, thread, settings.webhook),
}


def send(outgoing: Outgoing, thread: str, settings: NotifySettings) -> Sent:
    """Deliver one message. `thread` is what `Sent.thread` was for the first message of its `thread_key`, or empty.

    Raises Temporary (with the wait that was asked for) or Permanent. No message names a token, a password, a webhook's
    URL or what the other side answered beyond its codes.
    """
    channel = CHANNELS.get(outgoing.channel)
    if channel is None:
        raise Permanent(f"{outgoing.channel}: no such channel; use one of {', '.join(CHANNELS)}")
    return channel(outgoing, thread, settings)
