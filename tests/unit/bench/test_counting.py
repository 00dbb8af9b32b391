"""Whose calls and statements are counted, and as what."""

from datetime import UTC, datetime, timedelta

from bench import calls, counts, profiling
from bench.app_budget import Spent, program
from deploy.localcluster.audit import AuditEntry

START = datetime(2026, 1, 1, tzinfo=UTC)


def entry(verb: str, after: float, user: str = "driftline", dry_run: bool = False) -> AuditEntry:
    at = START + timedelta(seconds=after)
    return AuditEntry(at, user, verb, "", "configmaps", "shop", "web", "", 200, dry_run, "/api/v1", at)


LOG = [
    entry("patch", 3.0),
    entry("get", 1.0),
    entry("patch", 2.0, dry_run=True),
    entry("patch", 0.5, user="admin"),
    entry("watch", 1.5),
    entry("delete", 4.0),
]


def test_only_our_calls_count_and_a_dry_run_is_no_write() -> None:
    ours = calls.ours(LOG)
    assert calls.by_verb(ours) == {"delete": 1, "dry-run": 1, "get": 1, "patch": 1, "watch": 1}
    assert [each.verb for each in calls.writes(ours)] == ["patch", "delete"]
    assert [(each.verb, each.dry_run) for each in calls.reads(ours)] == [("get", False), ("patch", True)]


def test_the_first_write_is_looked_for_from_a_moment_on() -> None:
    assert calls.first_write(calls.ours(LOG)) == START.timestamp() + 3
    assert calls.first_write(calls.ours(LOG, START.timestamp() + 3.5)) == START.timestamp() + 4
    assert calls.first_write([entry("get", 1.0)]) is None


def test_processes_are_told_apart_by_their_command() -> None:
    assert counts.role_of("python -P -m workers.supervise") == "worker"
    assert counts.role_of("python -P -m celery -A workers.app beat -l WARNING") == "beat"
    assert counts.role_of("python -P -m gunicorn -c python:service.gunicorn_conf service.web:app") == "web"
    assert counts.role_of("python -P -m workers.start_watch") == "watch"
    assert counts.role_of("python -P -m service.cli.main migrate") == "other"


def test_statements_are_named_by_what_they_touch() -> None:
    assert counts.shape("SELECT sync.id, sync.phase FROM sync WHERE sync.id = ?") == "SELECT sync"
    assert counts.shape("INSERT INTO job (kind) VALUES (?) ON CONFLICT DO UPDATE SET wanted = 2") == "INSERT job"
    assert counts.shape("UPDATE job SET state=? WHERE id IN (SELECT id FROM job)") == "UPDATE job"
    assert counts.shape("DELETE FROM source WHERE application_id = ?") == "DELETE source"


def test_started_programs_are_named_without_their_parameters() -> None:
    fetch = "/usr/bin/git --no-replace-objects --git-dir=/x -c core.hooksPath=/dev/null fetch --quiet origin"
    assert program(fetch) == "git fetch"
    assert program("setpriv --pdeathsig KILL -- python -I -m driftline.adapters.render.helper") == (
        "driftline.adapters.render.helper"
    )
    assert program("/usr/bin/helm template x") == "helm"


def test_what_happens_anyway_is_taken_off() -> None:
    idle = Spent({"statements": 10.0, "writes": 0.0}, {}, {}, {}, seconds=5.0)
    busy = Spent({"statements": 24.0, "writes": 4.0, "messages": 1.0}, {}, {}, {}, seconds=2.0)
    assert busy.without(idle) == {"statements": 20.0, "writes": 4.0, "messages": 1.0}


def test_a_profile_ranks_functions_whatever_their_line() -> None:
    stacks = ["process 1;run (work.py:3);look (a.py:1) 30", "process 1;run (work.py:9);save (b.py:2) 10"]
    lines = profiling.summary(stacks, most=2)
    assert lines[2] == "100.0%  run (work.py)"
    assert lines[lines.index("-- itself") + 1] == " 75.0%  look (a.py)"
    assert profiling.summary([], 5) == ["nothing was seen"]
