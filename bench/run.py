"""`python -m bench.run`: measures, prints a table, writes bench/latest.json. Ends with 0 whatever the numbers say."""

import argparse
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.rounds import hurry
from bench.rows import Failed, Row, merge, number

LATEST = Path(__file__).parent / "latest.json"

FAMILIES: dict[str, tuple[str, ...]] = {
    "webhook_answer:run": ("webhook_answer",),
    "push_to_write:run": ("push_to_write",),
    "check_idle:run": ("check_idle",),
    "many_apps:run_200": ("apps_200", "cpu_200"),
    "many_apps:run_500": ("apps_500",),
    "large_app:run": ("create_2000", "one_of_2000"),
    "monorepo:run": ("monorepo_1000", "memory_1000"),
    "hand_edit:run": ("hand_edit",),
    "app_budget:run": ("app_budget",),
}
"""What makes which rows. Rows of one family come from the same runs."""

ORDER = (
    "webhook_answer", "push_to_write", "check_idle", "apps_200", "apps_500", "create_2000", "one_of_2000",
    "monorepo_1000", "hand_edit", "memory_1000", "cpu_200", "app_budget",
)  # fmt: skip

Found = Row | Failed


def chosen(only: Iterable[str]) -> list[str]:
    """The families that make these rows, all for none. Raises ValueError naming what there is no row of."""
    wanted = set(only)
    if unknown := sorted(wanted - set(ORDER)):
        raise ValueError(f"{unknown[0]}: there is no such row; there are {', '.join(ORDER)}")
    return [family for family, ids in FAMILIES.items() if not wanted or wanted & set(ids)]


def measure(family: str) -> Iterator[Found]:
    """The rows of one family; a row that could not be measured says why, and the others go on."""
    module, _, function = family.partition(":")
    missing = list(FAMILIES[family])
    try:
        make: Callable[[], Iterator[Row]] = getattr(import_module(f"bench.{module}"), function)
        for row in make():
            missing.remove(row.id)
            yield row
    except Exception as error:
        traceback.print_exc()
        yield from (Failed(each, f"{type(error).__name__}: {str(error).splitlines()[0]}") for each in missing)


def shown(rows: Iterable[Found]) -> Table:
    """The rows as a table."""
    table = Table("id", "measured", "reach", "ok", "limit of this machine", "runs", "API calls", "load")
    for row in rows:
        if isinstance(row, Failed):
            table.add_row(row.id, row.why, "", "[red]no[/]", "", "", "", "")
            continue
        measured = "\n".join(f"{'' if measure.ok else '[red]'}{measure}" for measure in row.measures)
        reach = "\n".join("" if m.reach is None else f"≤ {number(m.reach)} {m.unit}" for m in row.measures)
        limit = "\n".join(f"{name}: {value:.3g}" for name, value in row.limit.items())
        calls = " ".join(f"{verb} {count}" for verb, count in row.calls.items())
        ok = "[green]yes[/]" if row.ok else "[red]no[/]"
        table.add_row(row.id, measured, reach, ok, limit, str(row.runs), calls, f"{row.load:.1f}")
    return table


def machine() -> dict[str, Any]:
    """Where it was measured."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "load at the start": [round(each, 2) for each in os.getloadavg()],
    }


def save(rows: Iterable[Found], about: dict[str, Any], whole: bool) -> None:
    """Write bench/latest.json; a run of single rows keeps the others."""
    fresh = [row.to_json() for row in rows]
    known = json.loads(LATEST.read_text())["rows"] if LATEST.exists() and not whole else []
    merged = sorted(merge(known, fresh), key=lambda row: ORDER.index(row["id"]) if row["id"] in ORDER else len(ORDER))
    LATEST.write_text(json.dumps({"machine": about, "rows": merged}, indent=1, ensure_ascii=False) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench.run", description="Measure Driftline on this machine.")
    parser.add_argument("--only", action="append", default=[], metavar="ID", help="one row; may be repeated")
    parser.add_argument("--profile", metavar="ID", help="one row, while py-spy looks at a process")
    parser.add_argument("--role", default="worker", help="whose process is profiled (default: worker)")
    parser.add_argument("--quick", action="store_true", help="one run of the rows that take long")
    options = parser.parse_args()
    if options.quick:
        hurry()
    try:
        families = chosen([*options.only, *([options.profile] if options.profile else [])])
    except ValueError as error:
        parser.error(str(error))
    console = Console(width=None if sys.stdout.isatty() else 180)
    profiler = _profiler(options.role) if options.profile else None
    about, rows = machine(), list[Found]()
    for family in families:
        start = time.monotonic()
        console.print(f"{' '.join(FAMILIES[family])} ...", style="dim")
        rows += measure(family)
        console.print(f"  {time.monotonic() - start:.0f} s", style="dim")
    rows.sort(key=lambda row: ORDER.index(row.id))
    console.print(shown(rows))
    if profiler is None:
        save(rows, about, whole=not options.only)
    else:
        console.print("\n".join(profiler.lines()), markup=False, highlight=False)
    return 0


def _profiler(role: str) -> Any:
    from bench import stage
    from bench.profiling import Profiler

    profiler = Profiler(role)
    stage.on_start.append(profiler.attach)
    return profiler


if __name__ == "__main__":
    sys.exit(main())
