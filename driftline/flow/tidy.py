"""Clean up what belongs to this machine: mirrors and charts. Once in ten minutes, by whichever process comes first."""

import time

from driftline.flow.edges import Edges

EVERY = 600.0


def tidy(edges: Edges) -> bool:
    """Start a clean-up in the background if one is due; return whether it was."""
    mark = edges.settings.mirrors_dir / "tidied"
    try:
        if time.time() - mark.stat().st_mtime < EVERY:
            return False
    except FileNotFoundError:
        mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    edges.jobs_pool.submit(_run, edges)
    return True


def _run(edges: Edges) -> None:
    for what, tidied in (("mirrors", edges.mirrors.housekeeping), ("charts", edges.charts.housekeeping)):
        try:
            report = tidied()
        except Exception as error:
            edges.log.exception(f"{what} not tidied")
            edges.report(error)
        else:
            edges.log.info(f"{what} tidied", report=str(report))
