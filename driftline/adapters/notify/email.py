"""Alerts by e-mail over SMTP: text and HTML, a thread per alert, nothing sent in the clear unless that is set."""

import re
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email import policy
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from driftline.alerts.outgoing import Outgoing, Sent
from driftline.model.errors import Permanent, Temporary

_GREYLIST = timedelta(minutes=5)
_LONGEST_SUBJECT = 180


@dataclass(frozen=True)
class SmtpSettings:
    """The mail server that alerts go through."""

    host: str = ""
    """Host of the mail server. Empty: no e-mail."""
    port: int = 587
    """Port of the mail server."""
    tls: str = "starttls"
    """`starttls` (required, never skipped), `tls` (from the first byte) or `none`."""
    username: str = ""
    """User name for the login. Empty: no login."""
    password: str = field(default="", repr=False)
    """Password for the login; only ever sent over TLS."""
    sender: str = "driftline@localhost"
    """Address that alerts come from."""
    ca: str = ""
    """PEM of a private certificate authority. Empty: the system's."""
    timeout: float = 15
    """Seconds to wait for each answer of the server."""


def send(outgoing: Outgoing, thread: str, settings: SmtpSettings) -> Sent:
    """Send one alert to its address. `thread` is the Message-ID of the alert's first mail; what follows refers to it.

    Raises Temporary for 4xx answers (greylisting among them), broken connections and failed TLS, Permanent for 5xx
    answers and for settings and addresses that cannot work.
    """
    if not settings.host:
        raise Permanent(f"email {_shown(outgoing.address)}: no mail server is set; set DRIFTLINE_SMTP_HOST")
    if settings.username and settings.tls == "none":
        raise Permanent("email: a password is sent only over TLS; set DRIFTLINE_SMTP_TLS to starttls or tls")
    message = mail(outgoing, thread, settings.sender)
    try:
        server = _connected(settings)
        try:
            if settings.username:
                server.login(settings.username, settings.password)
            server.send_message(message)
        finally:
            _leave(server)
    except (smtplib.SMTPException, OSError) as error:
        raise _translate(error, outgoing.address, settings) from None
    return Sent(thread or str(message["Message-ID"]))


def mail(outgoing: Outgoing, thread: str, sender: str) -> EmailMessage:
    """The mail for one alert. Raises Permanent if an address is none.

    The Message-ID comes from the dedupe key, so that a mail sent twice after a crash is recognised as one.
    """
    message = EmailMessage(policy.SMTP)
    source, target = _address(sender, "DRIFTLINE_SMTP_FROM"), _address(outgoing.address, "the recipient")
    message["Message-ID"] = f"<{outgoing.dedupe_key}@{_domain(source)}>"
    message["From"] = Address("Driftline", addr_spec=source.addr_spec)
    message["To"] = target
    message["Subject"] = _single_line(outgoing.message.title)
    message["Date"] = format_datetime(datetime.now(UTC))
    message["Auto-Submitted"] = "auto-generated"
    if re.fullmatch(r"<[\x21-\x7e]+>", thread):
        message["In-Reply-To"] = thread
        message["References"] = thread
    message.set_content(outgoing.message.text)
    if outgoing.message.html:
        message.add_alternative(outgoing.message.html, subtype="html")
    return message


def _domain(address: Address) -> str:
    return address.domain if address.domain.isascii() and address.domain else "driftline.invalid"


def _address(text: str, what: str) -> Address:
    try:
        address = Address(addr_spec=text.strip())
        if address.username and address.domain and address.addr_spec.isprintable():
            return address
    except (MessageError, ValueError, IndexError, AttributeError):
        pass  # the parser of the standard library fails in several ways
    raise Permanent(f"email {_shown(text)}: {what} is not one e-mail address; write name@example.com")


def _shown(address: str) -> str:
    return _single_line(address)[:80]


def _single_line(text: str) -> str:
    """A header's value: one line, no control characters, not endless."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_SUBJECT else f"{line[: _LONGEST_SUBJECT - 1]}\u2026"


def _connected(settings: SmtpSettings) -> smtplib.SMTP:
    context = ssl.create_default_context(cadata=settings.ca or None)
    if settings.tls == "tls":
        return smtplib.SMTP_SSL(settings.host, settings.port, timeout=settings.timeout, context=context)
    server = smtplib.SMTP(settings.host, settings.port, timeout=settings.timeout)
    if settings.tls != "none":
        try:
            server.starttls(context=context)
        except BaseException:
            server.close()
            raise
    return server


def _leave(server: smtplib.SMTP) -> None:
    """Say goodbye. What goes wrong now does not matter: the message was taken, or the error is on its way."""
    try:
        server.quit()
    except (smtplib.SMTPException, OSError):
        server.close()


def _translate(error: Exception, address: str, settings: SmtpSettings) -> Temporary | Permanent:
    """Our error. Of the server's words only the codes are kept: `550 5.1.1`."""
    where = f"email {_shown(address)}: {settings.host}:{settings.port}"
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, words = next(iter(error.recipients.values()), (450, b""))
        return _answered(where, code, words, "the recipient was refused")
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _answered(
            where, error.smtp_code, error.smtp_error, "the login was refused; check DRIFTLINE_SMTP_USERNAME"
        )
    if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code >= 400:
        return _answered(where, error.smtp_code, error.smtp_error, "the message was refused")
    if isinstance(error, smtplib.SMTPNotSupportedError):
        starttls = "STARTTLS" in str(error)
        what = "offers no STARTTLS; set DRIFTLINE_SMTP_TLS" if starttls else "lacks what the login or address needs"
        return Temporary(f"{where} {what}", _GREYLIST)
    if isinstance(error, ssl.SSLCertVerificationError):
        return Temporary(f"{where}: its certificate is not trusted ({error.verify_message})", _GREYLIST)
    if isinstance(error, ssl.SSLError):
        return Temporary(f"{where}: TLS failed ({error.reason or 'handshake'})", _GREYLIST)
    return Temporary(f"{where}: connection failed ({type(error).__name__})")


def _answered(where: str, code: int, words: bytes | str, what: str) -> Temporary | Permanent:
    text = words.decode("ascii", "replace") if isinstance(words, bytes) else words
    status = re.match(r"[245]\.\d{1,3}\.\d{1,3}\b", text)
    said = f"{where}: {what} ({code}{f' {status[0]}' if status else ''})"
    return Permanent(said) if code >= 500 else Temporary(said, _GREYLIST)
