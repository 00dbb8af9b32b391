"""Alerts in Slack: by bot token into a channel, with a thread per alert, or through an incoming webhook's URL."""

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from driftline.adapters.http.waiting import retry_after
from driftline.adapters.notify.egress import Answer, post, verdict
from driftline.alerts.outgoing import Outgoing, Sent
from driftline.model.alert import Edge, Message
from driftline.model.errors import Permanent, Temporary

TIMEOUT = 15
_LONGEST_TEXT = 2900
_LONGEST_FIELD = 1900
_MOST_FIELDS = 10
_COLOURS = {Edge.FIRE: "#b42318", Edge.REMIND: "#b54708", Edge.RECOVER: "#067647", Edge.ONCE: "#175cd3"}
_PASSING = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
    | {"message_limit_exceeded", "team_added_to_org", "accesslimited", "rollup_error"}
)
_SILENT = logging.Logger("slack", logging.CRITICAL + 1)  # the client logs whole answers
_NO_THREAD = frozenset({"thread_not_found", "cannot_reply_to_message", "message_not_found"})
_HELP = {
    "channel_not_found": "no such channel, or a private one without the bot: invite it",
    "not_in_channel": "invite the bot to the channel",
    "is_archived": "the channel is archived",
    "invalid_auth": "check DRIFTLINE_SLACK_TOKEN",
    "not_authed": "check DRIFTLINE_SLACK_TOKEN",
    "account_inactive": "the bot was removed: install it again",
    "token_revoked": "the token was revoked: set a new DRIFTLINE_SLACK_TOKEN",
    "token_expired": "the token expired: set a new DRIFTLINE_SLACK_TOKEN",
    "missing_scope": "give the bot the scope chat:write",
    "restricted_action": "the workspace forbids the bot to post there",
}


@dataclass(frozen=True)
class SlackSettings:
    """How Slack is reached."""

    token: str = field(default="", repr=False)
    """Bot token (`chat:write`). Empty: only incoming webhook URLs work as recipients."""
    api_url: str = "https://slack.com/api/"
    """Base URL of Slack's API."""
    allow_private: bool = False
    """Whether incoming webhook URLs may lead to private and loopback addresses."""


def send(outgoing: Outgoing, thread: str, settings: SlackSettings) -> Sent:
    """Post one alert. `thread` is what the alert's first message returned; what follows answers in its thread.

    The address is a channel (`#deploys` or an id) or an incoming webhook's URL, which has no threads. Raises Temporary
    or Permanent.
    """
    if outgoing.address.startswith(("https://", "http://")):
        return _through_webhook(outgoing, settings)
    if not settings.token:
        raise Permanent(
            f"slack {outgoing.address}: no bot token is set; set DRIFTLINE_SLACK_TOKEN or use an incoming webhook's URL"
        )
    try:
        return _post(outgoing, thread, settings)
    except _ThreadGone:
        return _post(outgoing, "", settings)


class _ThreadGone(Exception):
    """The message that the thread began with was deleted."""


def _through_webhook(outgoing: Outgoing, settings: SlackSettings) -> Sent:
    body = orjson.dumps(_content(outgoing))
    answer = post(
        outgoing.address, body, {"Content-Type": "application/json"}, "slack incoming webhook", settings.allow_private
    )
    verdict(answer, "slack incoming webhook")
    _expect_ok(answer)
    return Sent()


def _expect_ok(answer: Answer) -> None:
    """A webhook answers `ok`; some proxies and clones answer 200 with `{"ok": false}`."""
    try:
        said = orjson.loads(answer.body)
    except ValueError:
        return
    if isinstance(said, dict) and said.get("ok") is False:
        raise _refused(str(said.get("error", "")), "incoming webhook", timedelta(seconds=10))


def _post(outgoing: Outgoing, thread: str, settings: SlackSettings) -> Sent:
    from slack_sdk import WebClient
    from slack_sdk.errors import SlackApiError, SlackClientError

    # Our outbox retries; the client must not, and a reply that is lost may mean a message that was posted.
    client = WebClient(settings.token, base_url=settings.api_url, timeout=TIMEOUT, retry_handlers=[], logger=_SILENT)
    channel, _, ts = thread.partition("/")
    try:
        answer = client.chat_postMessage(
            channel=channel or outgoing.address,
            thread_ts=ts or None,
            **_content(outgoing),
            parse="none",
            link_names=False,
        )
    except SlackApiError as error:
        raise _translate(error.response, outgoing.address, bool(ts)) from None
    except (SlackClientError, OSError, ValueError) as error:
        raise Temporary(f"slack {outgoing.address}: no usable answer ({type(error).__name__})") from None
    return Sent(thread or f"{answer.get('channel', '')}/{answer.get('ts', '')}")


def _translate(response: Any, address: str, in_thread: bool) -> Exception:
    """Our error for Slack's answer. Of what it says only the error code is used, if it is one we know to be one."""
    status = int(getattr(response, "status_code", 0) or 0)
    headers = {str(name).lower(): str(value) for name, value in dict(getattr(response, "headers", None) or {}).items()}
    wait = retry_after(headers, datetime.now(UTC))
    data = getattr(response, "data", None)
    code = str(data.get("error", "")) if isinstance(data, dict) else ""
    if in_thread and code in _NO_THREAD:
        return _ThreadGone()
    if status == 429 or status >= 500:
        return Temporary(f"slack {address}: answered {status}", wait)
    return _refused(code, address, wait)


def _refused(code: str, address: str, wait: timedelta) -> Temporary | Permanent:
    known = code if code.isascii() and code.replace("_", "").isalnum() and len(code) <= 60 else ""
    if not known or known in _PASSING:
        return Temporary(f"slack {address}: {known or 'unexpected answer'}", wait)
    return Permanent(f"slack {address}: {known}; {_HELP.get(known, 'see the error in the API reference of Slack')}")


def _content(outgoing: Outgoing) -> dict[str, Any]:
    message = outgoing.message
    attachment = {"color": _COLOURS[message.edge], "fallback": escape(message.title), "blocks": _blocks(message)}
    return {
        "text": escape(message.title),
        "attachments": [attachment],
        "unfurl_links": False,
        "unfurl_media": False,
        "metadata": {"event_type": "driftline_alert", "event_payload": {"id": outgoing.dedupe_key}},
    }


def _blocks(message: Message) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "section", "text": _plain(_body(message))}]
    fields = [_plain(f"{name}\n{value}", _LONGEST_FIELD) for name, value in message.fields[:_MOST_FIELDS]]
    if fields:
        blocks.append({"type": "section", "fields": fields})
    if message.link:
        link = {"type": "mrkdwn", "text": f"<{escape(message.link)}|Open in Driftline>", "verbatim": True}
        blocks.append({"type": "context", "elements": [link]})
    return blocks


def _body(message: Message) -> str:
    """The lines below the title, without the fields and the link, which have blocks of their own."""
    shown = {f"{name}: {value}" for name, value in message.fields} | {message.link, message.title}
    lines = [line for line in message.text.splitlines() if line.strip() and line not in shown]
    return "\n".join(lines) or message.title


def _plain(text: str, longest: int = _LONGEST_TEXT) -> dict[str, Any]:
    """A text in which Slack interprets nothing: no link, no mention, no formatting, no emoji."""
    return {"type": "plain_text", "text": _cut(text, longest), "emoji": False}


def _cut(text: str, longest: int) -> str:
    """`text`, escaped, in at most `longest` characters, without half an escape at its end."""
    escaped = escape(text)
    if len(escaped) <= longest:
        return escaped
    kept = 0
    for index, char in enumerate(text):
        kept += len(escape(char))
        if kept >= longest:
            return f"{escape(text[:index])}\u2026"
    return escaped


def escape(text: str) -> str:
    """`text` with Slack's three control characters made inert, so that `<!channel>` and `<url|text>` stay text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
