"""Alerts in Slack, against a server that speaks its API."""

import socket
from contextlib import suppress
from datetime import timedelta
from threading import Event, Thread
from typing import Any

import pytest

from driftline.adapters.notify import NotifySettings, SlackSettings, send
from driftline.model.errors import Permanent, Temporary
from tests.kit.slackhost import Failure, SlackHost
from tests.notify.messages import HOSTILE, begin, end, outgoing

TOKEN = "xoxb-123-secret-canary"


def settings(host: SlackHost, token: str = TOKEN) -> NotifySettings:
    return NotifySettings(slack=SlackSettings(token, host.api_url, allow_private=True))


def texts(value: Any) -> list[str]:
    """Every string anywhere in a posted message."""
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.covers("NOT-05")
def test_the_end_of_an_alert_answers_in_the_thread_of_its_beginning(slack: SlackHost) -> None:
    change = begin()
    sent = send(outgoing("slack", "#deploys", change), "", settings(slack))
    send(outgoing("slack", "#deploys", end(change)), sent.thread, settings(slack))
    first, second = slack.calls
    assert first.headers["authorization"] == f"Bearer {TOKEN}"
    assert first.body["text"] == "shop: sync failed" and "thread_ts" not in first.body
    assert second.body["text"] == "shop: sync works again"
    assert (second.body["channel"], second.body["thread_ts"]) == ("C0DEPLOYS", first.ts)
    assert first.body["attachments"][0]["color"] != second.body["attachments"][0]["color"]
    assert "How it ended: sync 18 succeeded." in str(second.body)


@pytest.mark.covers("NOT-05")
def test_an_incoming_webhook_needs_no_token(slack: SlackHost) -> None:
    send(outgoing("slack", slack.webhook_url), "", settings(slack, token=""))
    assert slack.messages[0]["text"] == "shop: sync failed"
    assert slack.messages[0]["attachments"][0]["blocks"][-1]["elements"][0]["text"].startswith(
        "<https://driftline.example/a?x=1&amp;y=2|"
    )


@pytest.mark.parametrize("address", ["#deploys", "webhook"])
def test_nothing_in_a_commit_message_can_call_the_channel_or_pass_for_a_link(slack: SlackHost, address: str) -> None:
    place = slack.webhook_url if address == "webhook" else address
    send(outgoing("slack", place, begin(HOSTILE, app=HOSTILE)), "", settings(slack))
    body = slack.messages[0]
    assert [text for text in texts(body) if "<" in text or ">" in text] == [
        "<https://driftline.example/a?x=1&amp;y=2|Open in Driftline>"
    ]
    assert any("&lt;!channel&gt;" in text for text in texts(body))
    assert "evil.example" in str(body) and body["unfurl_links"] is False
    if address != "webhook":
        assert body["parse"] == "none" and not body["link_names"]


def test_a_text_of_any_length_fits_slacks_limits(slack: SlackHost) -> None:
    send(outgoing("slack", "#deploys", begin("\n".join(["<&>" * 200] * 60))), "", settings(slack))
    for block in slack.messages[0]["attachments"][0]["blocks"]:
        assert len(block.get("text", {}).get("text", "")) <= 3000
        assert all(len(item["text"]) <= 2000 for item in block.get("fields", []))


def test_a_busy_slack_is_given_the_time_it_asks_for(slack: SlackHost) -> None:
    slack.fail_next(
        Failure(429, "ratelimited", {"Retry-After": "77"}), Failure(429, "slow down", {"Retry-After": "78"})
    )
    for address, wait in (("#deploys", 77), (slack.webhook_url, 78)):
        with pytest.raises(Temporary) as raised:
            send(outgoing("slack", address), "", settings(slack))
        assert raised.value.delay == timedelta(seconds=wait)
    assert len(slack.calls) == 2, "the client itself must not retry"


@pytest.mark.parametrize(
    "failure",
    [Failure(500, "oops"), Failure(503, "<html>"), Failure(error="ratelimited"), Failure(error="internal_error")],
)
@pytest.mark.parametrize("place", ["#deploys", "webhook"])
def test_what_may_pass_is_tried_again(slack: SlackHost, failure: Failure, place: str) -> None:
    slack.fail_next(failure)
    with pytest.raises(Temporary):
        send(outgoing("slack", slack.webhook_url if place == "webhook" else place), "", settings(slack))


@pytest.mark.parametrize(
    ("error", "help"),
    [
        ("channel_not_found", "invite it"),
        ("is_archived", "archived"),
        ("invalid_auth", "DRIFTLINE_SLACK_TOKEN"),
        ("token_revoked", "set a new"),
        ("some_new_error", "some_new_error"),
    ],
)
def test_what_a_person_must_change_is_said_once_and_clearly(slack: SlackHost, error: str, help: str) -> None:
    slack.fail_next(Failure(error=error))
    with pytest.raises(Permanent, match="slack #deploys: ") as raised:
        send(outgoing("slack", "#deploys"), "", settings(slack))
    assert help in raised.value.message


def test_a_revoked_token_a_missing_channel_and_a_missing_token(slack: SlackHost) -> None:
    for address, token, words in (
        ("#deploys", "revoked", "revoked"),
        ("#nowhere", TOKEN, "no such channel"),
        ("#deploys", "", "no bot token is set"),
    ):
        with pytest.raises(Permanent, match=words):
            send(outgoing("slack", address), "", settings(slack, token))


@pytest.mark.parametrize("status", [400, 403, 404, 410, 302])
def test_a_webhook_that_is_gone_is_final(slack: SlackHost, status: int) -> None:
    slack.fail_next(Failure(status, "no_service", {"Location": slack.webhook_url}))
    with pytest.raises(Permanent, match=f"answered {status}"):
        send(outgoing("slack", slack.webhook_url), "", settings(slack))
    assert len(slack.calls) == 1, "a redirect must not be followed"


def test_a_deleted_beginning_does_not_lose_the_end(slack: SlackHost) -> None:
    slack.fail_next(Failure(error="thread_not_found"))
    sent = send(outgoing("slack", "#deploys", end(begin())), "C0DEPLOYS/1.2", settings(slack))
    assert "thread_ts" not in slack.messages[0] and sent.thread.startswith("C0DEPLOYS/")


def test_a_slack_that_hangs_or_is_away_is_tried_again(slack: SlackHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("driftline.adapters.notify.slack.TIMEOUT", 0.3)
    slack.fail_next(Failure(delay=1))
    with pytest.raises(Temporary, match="no usable answer"):
        send(outgoing("slack", "#deploys"), "", settings(slack))
    with pytest.raises(Temporary):
        send(outgoing("slack", "#deploys"), "", NotifySettings(slack=SlackSettings(TOKEN, "http://127.0.0.1:9/api/")))


def test_a_connection_that_breaks_is_not_tried_again_behind_the_outboxs_back() -> None:
    connections, over = 0, Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)

        def hang_up() -> None:
            nonlocal connections
            while not over.is_set():
                with suppress(OSError):
                    listener.accept()[0].close()
                    connections += 1

        thread = Thread(target=hang_up)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/api/"
        with pytest.raises(Temporary):
            send(outgoing("slack", "#deploys"), "", NotifySettings(slack=SlackSettings(TOKEN, url)))
        over.set()
        thread.join(5)
    assert connections == 1


def test_no_error_names_the_token_the_webhook_or_the_answer(slack: SlackHost, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    canary = "canary-answer"
    for failure in (
        Failure(500, canary),
        Failure(200, f"{canary} {TOKEN}"),
        Failure(404, canary),
        Failure(429, canary),
    ):
        for place in ("#deploys", slack.webhook_url):
            slack.fail_next(failure)
            with pytest.raises((Temporary, Permanent)) as raised:
                send(outgoing("slack", place), "", settings(slack))
            seen = f"{raised.value!r} {raised.value.__cause__!r} {caplog.text}"
            assert canary not in seen and TOKEN not in seen and "hook-secret" not in seen
    assert TOKEN not in repr(settings(slack))
