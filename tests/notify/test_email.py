"""Alerts by e-mail, over real SMTP on the loopback."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from threading import Thread

import pytest

from driftline.adapters.notify import NotifySettings, SmtpSettings, send
from driftline.adapters.notify.email import mail
from driftline.model.errors import Permanent, Temporary
from tests.kit.mailcatcher import Mailcatcher
from tests.notify.messages import HOSTILE, begin, end, outgoing

PASSWORD = "smtp-secret-canary"
TO = "ops@example.com"


def smtp(port: int, **more: object) -> NotifySettings:
    values = {"tls": "none", "sender": "driftline@example.com", "timeout": 2, **more}
    return NotifySettings(smtp=SmtpSettings("127.0.0.1", port, **values))  # type: ignore[arg-type]


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


@pytest.mark.covers("NOT-06")
def test_an_alert_arrives_as_text_and_html_and_its_end_in_the_same_thread(tmp_path: Path) -> None:
    change = begin()
    with Mailcatcher(folder=tmp_path) as server:
        sent = send(outgoing("email", TO, change), "", smtp(server.port))
        send(outgoing("email", TO, end(change)), sent.thread, smtp(server.port))
        first, second = server.wait_for(2)
    assert (first.sender, first.recipients) == ("driftline@example.com", (TO,))
    assert (
        first.message["Subject"] == "shop: sync failed" and first.message["From"] == "Driftline <driftline@example.com>"
    )
    assert "it broke" in part(first.message, "plain") and "<pre" in part(first.message, "html")
    assert first.message["Message-ID"] == sent.thread == second.message["References"] == second.message["In-Reply-To"]
    assert "How it ended: sync 18 succeeded." in part(second.message, "plain")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0001.eml", "0002.eml"]


def test_a_mail_sent_twice_after_a_crash_is_recognisable_as_one() -> None:
    with Mailcatcher() as server:
        for _ in range(2):
            send(outgoing("email", TO), "", smtp(server.port))
        first, second = server.wait_for(2)
    assert first.message["Message-ID"] == second.message["Message-ID"]


def test_nothing_in_a_commit_message_can_add_a_header_or_html() -> None:
    with Mailcatcher() as server:
        send(outgoing("email", TO, begin(HOSTILE, app=HOSTILE)), "", smtp(server.port))
        (caught,) = server.wait_for(1)
    message = caught.message
    assert caught.recipients == (TO,) and message["Bcc"] is None and message["To"] == TO
    assert "\n" not in message["Subject"] and "sync failed" in message["Subject"]
    assert "<img" not in part(message, "html") and "&lt;img" in part(message, "html")
    assert "\nBcc" not in part(message, "plain")


def test_starttls_with_a_private_authority_and_a_login(certificate: tuple[Path, Path]) -> None:
    with Mailcatcher(certificate=certificate, login=("bob", PASSWORD)) as server:
        given = {"tls": "starttls", "ca": certificate[0].read_text(), "username": "bob", "password": PASSWORD}
        send(outgoing("email", TO), "", smtp(server.port, **given))
        (caught,) = server.wait_for(1)
        assert caught.encrypted and caught.user == "bob"
        with pytest.raises(Permanent, match=r"login was refused; .* \(535 5.7.8\)"):
            send(outgoing("email", TO), "", smtp(server.port, **{**given, "password": "wrong"}))


def test_tls_from_the_first_byte(certificate: tuple[Path, Path]) -> None:
    with Mailcatcher(certificate=certificate, implicit_tls=True) as server:
        send(outgoing("email", TO), "", smtp(server.port, tls="tls", ca=certificate[0].read_text()))
        (caught,) = server.wait_for(1)
    assert caught.encrypted


@pytest.mark.parametrize("tls", ["starttls", "tls"])
def test_a_certificate_that_nobody_vouches_for_stops_the_mail(certificate: tuple[Path, Path], tls: str) -> None:
    with Mailcatcher(certificate=certificate, implicit_tls=tls == "tls") as server:
        with pytest.raises(Temporary, match="certificate is not trusted"):
            send(outgoing("email", TO), "", smtp(server.port, tls=tls))
        assert server.messages == []


def test_without_starttls_nothing_is_sent_in_the_clear() -> None:
    with Mailcatcher() as server:
        with pytest.raises(Temporary, match="offers no STARTTLS"):
            send(outgoing("email", TO), "", smtp(server.port, tls="starttls"))
        assert server.messages == []
    with pytest.raises(Permanent, match="only over TLS"):
        send(outgoing("email", TO), "", smtp(server.port, username="bob", password=PASSWORD))


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "kind", "shown"),
    [
        ("450 4.7.1 greylisted, secret-words", Temporary, "(450 4.7.1)"),
        ("452 4.2.2 mailbox full", Temporary, "(452 4.2.2)"),
        ("550 5.1.1 no such user secret-words", Permanent, "(550 5.1.1)"),
        ("554 no", Permanent, "(554)"),
    ],
)
def test_the_servers_answer_decides_whether_to_try_again(
    command: str, answer: str, kind: type[Exception], shown: str
) -> None:
    with Mailcatcher() as server:
        server.refuse[command] = answer
        with pytest.raises(kind) as raised:
            send(outgoing("email", TO), "", smtp(server.port))
    assert shown in str(raised.value) and "secret-words" not in str(raised.value)
    assert str(raised.value).startswith(f"email {TO}: 127.0.0.1:")


@contextmanager
def broken_server(greeting: bytes, then_wait: bool) -> Iterator[int]:
    """A server that says one thing and then nothing more, or hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve() -> None:
            connection, _ = listener.accept()
            connection.sendall(greeting)
            kept.append(connection) if then_wait else connection.close()

        thread = Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(5)
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("greeting", "then_wait"),
    [(b"", True), (b"", False), (b"220 hi\r\n", True), (b"421 busy\r\n", False), (b"\xff\x00", False)],
)
def test_a_server_that_hangs_or_hangs_up_is_tried_again(greeting: bytes, then_wait: bool) -> None:
    with broken_server(greeting, then_wait) as port, pytest.raises(Temporary):
        send(outgoing("email", TO), "", smtp(port, timeout=0.3))


def test_no_mail_server_and_no_such_server() -> None:
    with pytest.raises(Permanent, match="set DRIFTLINE_SMTP_HOST"):
        send(outgoing("email", TO), "", NotifySettings())
    with pytest.raises(Temporary, match="connection failed"):
        send(outgoing("email", TO), "", smtp(9))


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ops",
        "ops@",
        "@example.com",
        "a@b,c@d",
        "a@b\r\nRCPT TO:<x@y>",
        "A <a@example.com>",
        "a b@c",
        "a@b\x00",
        "x" * 9999,
        "#ops",
    ],
)
def test_what_is_not_one_address_is_refused(address: str) -> None:
    with pytest.raises(Permanent, match=r"write name@example\.com") as raised:
        mail(outgoing("email", address), "", "driftline@example.com")
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 300


def test_a_bad_thread_is_left_out() -> None:
    for thread in ("x", "<a>\r\nBcc: x@y", "<\u00e9>"):
        assert mail(outgoing("email", TO), thread, "driftline@example.com")["References"] is None


def test_settings_do_not_show_the_password() -> None:
    assert PASSWORD not in repr(smtp(1, password=PASSWORD))
