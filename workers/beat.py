"""The Celery application that `driftline beat` loads: it names one task, and loads none of the code that does it."""

import logging
from typing import Any

from celery.signals import setup_logging

from driftline.adapters import memory
from driftline.adapters.settings import read_settings
from driftline.adapters.taskqueue import make_celery

memory.start()
celery = make_celery(read_settings(), tasks=False)


@setup_logging.connect  # type: ignore[untyped-decorator]
def _logging(**_: Any) -> None:
    from driftline.adapters import logs

    settings = read_settings()
    logs.setup("beat", settings.log_format, settings.log_level)
    for name in ("celery", "kombu", "amqp"):
        logging.getLogger(name).setLevel(logging.WARNING)
