"""Clients that misbehave on the wire, against a real gunicorn with threads, as in production."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kit import payloads

CAP = 4_000_000
THREADS = 8
ROOT = Path(__file__).parents[2]


@dataclass
class Server:
    port: int
    process: subprocess.Popen[bytes]

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def memory(self) -> int:
        """Resident bytes of the server's processes."""
        parent = Path(f"/proc/{self.process.pid}")
        children = (parent / f"task/{self.process.pid}/children").read_text().split()
        pages = [(one / "statm").read_text().split()[1] for one in (parent, *(Path("/proc") / pid for pid in children))]
        return sum(map(int, pages)) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = int(chosen.getsockname()[1])
    log = (tmp_path_factory.mktemp("gunicorn") / "log").open("wb")
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", str(THREADS)]
    command += ["--bind", f"127.0.0.1:{port}", "tests.webhooks.served:app"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    running = Server(port, process)
    try:
        _wait_until_up(running)
        yield running
    finally:
        process.terminate()
        process.wait(10)


def _wait_until_up(server: Server) -> None:
    for _ in range(200):
        assert server.process.poll() is None
        try:
            assert status(server, right()) == 202
            return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("gunicorn did not start")


def right(body: bytes = b"", extra: str = "", length: int | None = None) -> bytes:
    headers, told = payloads.github(payloads.Told("https://github.com/acme/shop")).signed()
    body = body or told
    headers = payloads.sign("github", headers, body)
    return head(headers, f"Content-Length: {len(body) if length is None else length}\r\n{extra}") + body


def head(headers: dict[str, str], rest: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"POST /api/webhook HTTP/1.1\r\nHost: driftline.example\r\n{lines}{rest}\r\n".encode()


def chunked(extra: str = "") -> bytes:
    headers, _ = payloads.github(payloads.Told("https://github.com/acme/shop")).signed()
    return head(headers, f"Transfer-Encoding: chunked\r\n{extra}")


def answer(client: socket.socket) -> int:
    """The status of the next answer; 0 if the connection was closed without one."""
    received = b""
    try:
        while b"\r\n" not in received and (part := client.recv(65536)):
            received += part
    except ConnectionError:
        pass
    return int(received.split(b" ", 2)[1]) if received.startswith(b"HTTP/") else 0


def status(server: Server, request: bytes) -> int:
    with server.connect() as client:
        client.sendall(request)
        return answer(client)


def test_a_right_delivery(server: Server) -> None:
    assert status(server, right()) == 202


def test_a_right_delivery_in_chunks(server: Server) -> None:
    headers, body = payloads.github(payloads.Told("https://github.com/acme/shop")).signed()
    pieces = [body[start : start + 100] for start in range(0, len(body), 100)]
    framed = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    assert status(server, head(headers, "Transfer-Encoding: chunked\r\n") + framed) == 202


def test_a_gigabyte_announced_is_refused_before_it_is_sent(server: Server) -> None:
    assert status(server, right(length=1_000_000_000)) == 413
    assert status(server, right(length=10**30)) in (400, 413)


def test_an_endless_chunked_body_is_cut_at_the_cap(server: Server) -> None:
    before = server.memory()
    with server.connect() as client:
        client.sendall(chunked())
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        sent = 0
        client.settimeout(0.01)
        received = b""
        deadline = time.monotonic() + 20
        while not received and time.monotonic() < deadline:
            try:
                client.sendall(chunk)
                sent += len(chunk)
                received = client.recv(1000)
            except TimeoutError:
                continue
            except ConnectionError:
                break
        assert received.startswith(b"HTTP/1.1 413") or not received
        # What is sent beyond the cap is what the kernel and the server's bounded drain take.
        assert sent < 10 * CAP
    assert server.memory() - before < 60_000_000
    assert status(server, right()) == 202


def test_clients_that_send_a_byte_now_and_then_do_not_hold_all_threads(server: Server) -> None:
    stop = threading.Event()
    answers: list[int] = []

    def drip() -> None:
        with server.connect() as client:
            client.sendall(right(length=100_000))
            try:
                while not stop.wait(0.2):
                    client.sendall(b" ")
            except OSError:
                pass
            answers.append(answer(client))

    slow = [threading.Thread(target=drip) for _ in range(THREADS)]
    for thread in slow:
        thread.start()
    try:
        time.sleep(0.3)
        started = time.monotonic()
        assert status(server, right()) == 202
        assert time.monotonic() - started < 5
    finally:
        time.sleep(1.5)
        stop.set()
        for thread in slow:
            thread.join()
    assert set(answers) <= {408, 0}
    assert 408 in answers


def test_a_client_that_goes_away_halfway(server: Server) -> None:
    for _ in range(2 * THREADS):
        with server.connect() as client:
            client.sendall(right(length=50_000))
    assert status(server, right()) == 202


@pytest.mark.parametrize(
    "request_bytes",
    [
        right(extra="Transfer-Encoding: chunked\r\n"),
        right(extra="Transfer-Encoding: identity, chunked\r\nTransfer-Encoding: chunked\r\n"),
        right(extra="Content-Length: 5\r\n"),
        right(extra="Transfer-Encoding : chunked\r\n"),
        right(extra="Transfer-Encoding: xchunked\r\n"),
        chunked("Content-Length: 10\r\n") + b"0\r\n\r\n",
        chunked() + b"zz\r\nnonsense",
        chunked() + b"-5\r\nnonsense\r\n",
        chunked() + b"5\r\nabcdefghij\r\n0\r\n\r\n",
    ],
)
def test_a_request_with_two_readings_is_refused_and_the_connection_closed(server: Server, request_bytes: bytes) -> None:
    smuggled = b"GET /api/webhook HTTP/1.1\r\nHost: inner.example\r\n\r\n"
    with server.connect() as client:
        client.sendall(request_bytes + smuggled)
        received = b""
        try:
            while part := client.recv(65536):
                received += part
        except ConnectionError:
            pass
    # One answer to the first request, none to the one hidden behind it (which would be 405).
    assert received.count(b"HTTP/1.1 ") <= 1
    assert not received or received.split(b" ", 2)[1] in (b"400", b"401", b"501")


def test_many_large_bodies_at_once_are_put_off_and_memory_stays_bounded(server: Server) -> None:
    before = server.memory()
    body = b'{"a":"' + b"x" * (CAP - 1000) + b'"}'
    answers: list[int] = []

    def send() -> None:
        answers.append(status(server, right(body)))

    senders = [threading.Thread(target=send) for _ in range(3 * THREADS)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert set(answers) <= {400, 503}
    assert server.memory() - before < 15 * CAP * 2
    assert status(server, right()) == 202
