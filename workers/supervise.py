"""`driftline worker`: keeps two Celery nodes running, so that a long clone or scan never delays a push."""

import sys

from driftline.adapters.processes import Program, Supervisor
from driftline.adapters.settings import Settings, read_settings


def nodes(settings: Settings) -> list[Program]:
    """`fast` serves pushes and people; `slow` serves scans, first clones, cold renders and alerts."""
    return [_node("fast", "fast", settings.fast_workers), _node("slow", "scan,notify", settings.slow_workers)]


def _node(name: str, queues: str, children: int) -> Program:
    argv = [sys.executable, "-P", "-m", "celery", "-q", "-A", "workers.app", "worker"]
    argv += ["-n", f"{name}@%h", "-Q", queues, "-c", str(children), "-P", "prefork", "-l", "WARNING"]
    argv += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Program(name, argv)


def main() -> None:
    """Run until told to stop."""
    Supervisor(nodes(read_settings())).run()


if __name__ == "__main__":
    main()
