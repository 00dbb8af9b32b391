"""What the background processes load before they do anything."""

import subprocess
import sys

import pytest

NODES = """
import sys, threading
from workers import supervise
supervise.load()
assert threading.active_count() == 1, threading.enumerate()
loaded = {"kubernetes.config", "sqlalchemy", "git", "celery.worker.worker", "driftline.flow.work"}
assert loaded <= set(sys.modules), loaded - set(sys.modules)
from driftline.adapters import metrics
assert not metrics._meters.cache_info().currsize, "counters are files of one process"
"""


def _python(script: str) -> None:
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_the_nodes_share_their_code_and_fork_before_any_thread() -> None:
    _python(NODES)


@pytest.mark.parametrize(
    "start",
    [
        "from workers import supervise; supervise.load()",
        "import workers.beat; from driftline.adapters import logs",
        "from driftline.adapters import memory; memory.start(); import workers.watch",
        "import service.gunicorn_conf, service.web",
    ],
)
def test_services_load_nothing_that_draws_in_terminals(start: str) -> None:
    _python(f"import sys\n{start}\nassert not [name for name in ('rich', 'pygments') if sys.modules.get(name)]")
