"""`driftline worker`: keeps two Celery nodes running, so that a long clone or scan never delays a push.

Both nodes are forks of this process, which has loaded all their code before: they and their children share its memory.
"""

import gc
import sys
from functools import partial
from importlib import import_module

from driftline.adapters import memory
from driftline.adapters.processes import Program, Supervisor
from driftline.adapters.settings import Settings, read_settings

LOADED = (
    "workers.tasks",
    "workers.consumer",
    "celery.bin.celery",
    "celery.apps.worker",
    "celery.concurrency.prefork",
    "kombu.transport.redis",
    "kubernetes.config",
    "git",
)
"""What every worker needs sooner or later. None of it starts a thread or connects to anything when it is loaded."""


def nodes(settings: Settings) -> list[Program]:
    """`fast` serves pushes and people; `slow` serves scans, first clones, cold renders and alerts."""
    return [_node("fast", "fast", settings.fast_workers), _node("slow", "scan,notify", settings.slow_workers)]


def _node(name: str, queues: str, children: int) -> Program:
    options = ["-n", f"{name}@%h", "-Q", queues, "-c", str(children), "-P", "prefork", "-l", "WARNING"]
    options += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return Program(name, run=partial(_serve, ["-q", "-A", "workers.app", "worker", *options]))


def _serve(options: list[str]) -> None:
    """Be one node until told to stop."""
    from celery import __main__ as command

    from workers.app import celery

    # As if Celery's own command had been called: that is what it starts again with after a SIGHUP.
    sys.argv = [command.__file__, *options]
    sys.exit(celery.start(argv=options))


def load() -> None:
    """Load the nodes' code, and keep the garbage collector off it: memory that nobody writes to stays shared."""
    memory.start()
    for name in LOADED:
        import_module(name)
    gc.collect()
    gc.freeze()


def main() -> None:
    """Run until told to stop."""
    load()
    Supervisor(nodes(read_settings())).run()


if __name__ == "__main__":
    main()
