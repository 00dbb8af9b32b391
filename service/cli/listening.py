"""The address of the web process: whether it is free, and whether the web process answers there."""

import http.client
import socket
from pathlib import Path

from service.cli.failing import Problem


def _place(listen: str) -> tuple[str, int] | None:
    """Host and port as this machine reaches them; None for a socket in the file system."""
    host, _, port = listen.rpartition(":")
    if not port.isdecimal():
        return None
    return host.strip("[]") if host not in ("", "0.0.0.0", "[::]") else "127.0.0.1", int(port)  # noqa: S104


def require_free(listen: str) -> None:
    """Raises Problem if the web process could not listen: gunicorn would try again and again in the background."""
    found = _place(listen)
    if found is None:
        return
    host, port = found
    given = listen.rpartition(":")[0].strip("[]") or "0.0.0.0"  # noqa: S104 - what gunicorn makes of it
    with socket.socket(socket.AF_INET6 if ":" in given else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((given, port))
        except OSError as error:
            who = (
                f"{_who(host, port)}; end that"
                if _status(host, port, "/") is not None
                else f"{error.strerror}; free it"
            )
            raise Problem(
                f"{listen}: the web process cannot listen there: {who}, or choose another address, "
                f"such as DRIFTLINE_LISTEN=127.0.0.1:{port + 1 if port < 65535 else port - 1}"
            ) from None


def _who(host: str, port: int) -> str:
    if _status(host, port, "/readyz") in (200, 503):
        return "another Driftline seems to answer there (driftline up for another data directory, or make demo)"
    return f"another program listens there (ss -ltnp 'sport = :{port}' shows which)"


def answers(listen: str) -> bool:
    """Whether a web process says there that it is ready."""
    found = _place(listen)
    return Path(listen.removeprefix("unix:")).exists() if found is None else _status(*found, "/readyz") == 200


def _status(host: str, port: int, path: str) -> int | None:
    """HTTP's status of one request, 0 for an answer that is not HTTP, None if nobody takes the connection."""
    connection = http.client.HTTPConnection(host, port, timeout=2)
    try:
        connection.connect()
        connection.request("GET", path)
        return connection.getresponse().status
    except http.client.HTTPException:
        return 0
    except OSError:
        return None if connection.sock is None else 0
    finally:
        connection.close()
