"""Several processes count, one answer shows the sum."""

import subprocess
import sys
from pathlib import Path

import pytest

from driftline.adapters import metrics

PROGRAM = """
import os, sys
from datetime import timedelta
from pathlib import Path
from driftline.adapters import metrics

directory = Path(sys.argv[1])
role = sys.argv[2]
metrics.setup(directory, role, "parent")
metrics.delivered("github", "accepted")
for slot in range(3):
    if os.fork() == 0:
        metrics.setup(directory, role, str(slot))
        for _ in range(1000):
            metrics.job_ended("sync", "done")
        metrics.sync_took(timedelta(seconds=2), "Succeeded")
        metrics.alert_sent("on-sync-failed", "slack", True, timedelta(seconds=0.2))
        metrics.alert_sent("on-sync-failed", "slack", False)
        metrics.called("patch", 4)
        metrics.drift_found("drifted")
        os._exit(0)
for _ in range(3):
    assert os.wait()[1] == 0
"""

SHOW = """
import sys
from pathlib import Path
from driftline.adapters import metrics
metrics.setup(Path(sys.argv[1]), "metrics")
body, kind = metrics.render([metrics.Reading("driftline_queue_age_seconds", "Oldest due job", 1.5, {"queue": "fast"})])
assert kind.startswith("text/plain")
sys.stdout.write(body.decode())
"""


def run(code: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.covers("NOT-11")
def test_all_processes_are_added_up_and_restarts_add_no_files(tmp_path: Path) -> None:
    directory = tmp_path / "metrics"
    metrics.prepare(directory)
    run(PROGRAM, str(directory), "worker")
    files = sorted(path.name for path in directory.iterdir())
    run(PROGRAM, str(directory), "worker")
    assert sorted(path.name for path in directory.iterdir()) == files
    text = run(SHOW, str(directory))
    for line in (
        'driftline_jobs_total{kind="sync",outcome="done"} 6000.0',
        'driftline_deliveries_total{outcome="accepted",provider="github"} 2.0',
        'driftline_api_calls_total{verb="patch"} 24.0',
        'driftline_drift_found_total{cause="drifted"} 6.0',
        'driftline_sync_seconds_count{phase="Succeeded"} 6.0',
        'driftline_sync_seconds_bucket{le="1.0",phase="Succeeded"} 0.0',
        'driftline_notifications_deliveries_total{service="slack",succeeded="false",trigger="on-sync-failed"} 6.0',
        'driftline_queue_age_seconds{queue="fast"} 1.5',
    ):
        assert line in text.splitlines()
    metrics.prepare(directory)
    assert list(directory.iterdir()) == []


def test_a_process_that_was_not_set_up_counts_for_itself() -> None:
    count = "metrics.called('get'); metrics.called('get'); print(metrics.render()[0].decode())"
    code = f"from driftline.adapters import metrics; {count}"
    assert 'driftline_api_calls_total{verb="get"} 2.0' in run(code)
