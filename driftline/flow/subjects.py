"""What jobs are called: kind and subject of each, in one place. Used by whoever requests or takes a job."""

from driftline.adapters.store.jobs import Job, Queue, Request
from driftline.adapters.taskqueue import Hint

APP = "app"
"""Look at one application: compare it, sync it, take its sync one step further."""
FETCH = "fetch"
"""Fetch one repository and find whom its news concern."""
SCAN = "scan"
"""LIST what one cluster holds of us."""
NOTIFY = "notify"
"""Send what the outbox holds."""


def app_request(application_id: int, queue: str = Queue.FAST) -> Request:
    return Request(APP, f"application:{application_id}", queue)


def fetch_request(repository_id: int, queue: str = Queue.FAST) -> Request:
    return Request(FETCH, f"repository:{repository_id}", queue)


def scan_request(cluster_id: int) -> Request:
    return Request(SCAN, f"cluster:{cluster_id}", Queue.SCAN)


NOTIFY_REQUEST = Request(NOTIFY, "outbox", Queue.NOTIFY)


def number_of(job: Job) -> int:
    """The id in a subject."""
    return int(job.subject.rpartition(":")[2])


def hints(ids: tuple[int, ...], queue: str = Queue.FAST) -> list[Hint]:
    """Hints for jobs of one queue."""
    return [Hint(number, queue) for number in ids]
