"""A mail server that keeps every message and delivers none: `python deploy/demo/mailcatcher.py PORT FOLDER`.

It can also misbehave as real ones do: refuse a command with any answer, offer STARTTLS, ask for a login.
"""

import asyncio
import ssl
import sys
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session


@dataclass(frozen=True)
class Caught:
    """One message as it arrived."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    user: str = ""


class Mailcatcher:
    """An SMTP server on the loopback, running in a thread of its own while used as a context.

    `refuse` maps a command (`MAIL`, `RCPT`, `DATA`) to the answer that it gets instead, such as `450 4.7.1 later`.
    """

    def __init__(
        self,
        port: int = 0,
        folder: Path | None = None,
        certificate: tuple[Path, Path] | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        """`certificate` is a certificate file and its key; with it STARTTLS is offered, or spoken from the start."""
        self.port = port
        self.messages: list[Caught] = []
        self.refuse: dict[str, str] = {}
        self._folder = folder
        self._login = login
        self._implicit = implicit_tls
        self._tls: ssl.SSLContext | None = None
        if certificate:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*certificate)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._server: asyncio.Server | None = None

    def __enter__(self) -> "Mailcatcher":
        self._thread.start()
        server: asyncio.Server = self._wait(self._listen())
        self._server, self.port = server, server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._wait(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def wait_for(self, count: int, seconds: float = 10) -> list[Caught]:
        """The messages, once there are `count` of them. Raises TimeoutError."""
        end = time.monotonic() + seconds
        while len(self.messages) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(self.messages)} of {count} messages after {seconds:g} s")
            time.sleep(0.01)
        return list(self.messages)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def _wait(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    async def _listen(self) -> asyncio.Server:
        context = self._tls if self._implicit else None
        return await self._loop.create_server(self._session, "127.0.0.1", self.port, ssl=context)

    async def _close(self) -> None:
        if self._server:
            self._server.close()
        sessions = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in sessions:
            task.cancel()
        await asyncio.gather(*sessions, return_exceptions=True)

    def _session(self) -> SMTP:
        return SMTP(
            self,
            enable_SMTPUTF8=True,
            tls_context=None if self._implicit else self._tls,
            authenticator=self._authenticate if self._login else None,
            auth_required=self._login is not None,
            auth_require_tls=not self._implicit and self._tls is not None,
            timeout=60,
        )

    def _authenticate(
        self, server: object, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        if given != self._login:
            return AuthResult(success=False, handled=False)
        return AuthResult(success=True, auth_data=data)

    async def handle_MAIL(
        self, server: object, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "MAIL" in self.refuse:
            return self.refuse["MAIL"]
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(
        self, server: object, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if "RCPT" in self.refuse:
            return self.refuse["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: object, session: Session, envelope: Envelope) -> str:
        if "DATA" in self.refuse:
            return self.refuse["DATA"]
        content = envelope.original_content or b""
        message = message_from_bytes(content, policy=policy.default)
        user = session.auth_data.login.decode() if session.auth_data else ""
        encrypted = session.ssl is not None or self._implicit
        caught = Caught(str(envelope.mail_from), tuple(envelope.rcpt_tos), message, encrypted, user)
        if self._folder:
            self._folder.mkdir(parents=True, exist_ok=True)
            number = len(self.messages) + 1
            draft = self._folder / f".{number:04}"
            draft.write_bytes(content)
            draft.rename(self._folder / f"{number:04}.eml")  # a reader never sees half a message
        self.messages.append(caught)
        return "250 OK"


def main(port: int, folder: Path) -> None:
    """Run until interrupted; each message becomes a file of its own in `folder`."""
    with Mailcatcher(port, folder):
        threading.Event().wait()


if __name__ == "__main__":
    if len(sys.argv) != 3 or not sys.argv[1].isdecimal():
        raise SystemExit("usage: mailcatcher.py PORT FOLDER")
    try:
        main(int(sys.argv[1]), Path(sys.argv[2]))
    except KeyboardInterrupt:
        pass
