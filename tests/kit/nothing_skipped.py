"""A pytest plugin: a skipped test fails, unless it says that it is `allowed:` to be skipped and why.

Loaded by deploy/test.sh, so that a missing tool cannot make the whole run green: `-p tests.kit.nothing_skipped`.
"""

from collections.abc import Generator
from typing import Any

import pytest

ALLOWED = "allowed: "
"""How the reason of a skip begins that is no fault of the machine."""


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Turn the report of a skip into that of a failure."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        _judge(report)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """The same for a whole module that is skipped while it is imported."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped:
        _judge(report)


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if reason.removeprefix("Skipped: ").startswith(ALLOWED):
        return
    report.outcome = "failed"
    report.longrepr = f"{reason}: nothing is skipped in this run; install what is missing (make system)"
