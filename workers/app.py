"""The Celery application that `celery -A workers.app` loads: workers and beat."""

from driftline.adapters.settings import read_settings
from driftline.adapters.taskqueue import make_celery

celery = make_celery(read_settings())
