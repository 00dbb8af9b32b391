"""Adds up the closing lines of several pytest runs: `python -m deploy.closing LOG...`. Fails if one has none."""

import re
import sys
from collections import Counter
from pathlib import Path

_LINE = re.compile(r"^=* ?(\d+ [a-z]+(?:, \d+ [a-z]+)*) in ([\d.]+)s")
_ORDER = ("failed", "passed", "skipped", "deselected", "xfailed", "xpassed", "warnings", "errors")


def closing(text: str) -> tuple[Counter[str], float] | None:
    """The counts and the seconds of the last closing line, None if the run never came to one."""
    for line in reversed(text.splitlines()):
        if found := _LINE.match(line):
            counts: Counter[str] = Counter()
            for part in found[1].split(", "):
                number, word = part.split()
                counts[{"error": "errors", "warning": "warnings"}.get(word, word)] += int(number)
            return counts, float(found[2])
    return None


def main(paths: list[str]) -> int:
    """Print one line like pytest's for all of them."""
    counts: Counter[str] = Counter()
    seconds, unfinished = 0.0, []
    for path in map(Path, paths):
        found = closing(path.read_text(errors="replace"))
        if found is None:
            unfinished.append(path.stem)
            continue
        counts, seconds = counts + found[0], seconds + found[1]
    words = ", ".join(f"{counts[word]} {word}" for word in _ORDER if counts[word]) or "no tests ran"
    broken = f"; did not end: {', '.join(unfinished)}" if unfinished else ""
    minutes = f" ({int(seconds) // 60}:{int(seconds) % 60:02} min)"
    print(f"==== {words} in {seconds:.2f}s{minutes}{broken} ====")
    return 1 if unfinished or counts["failed"] or counts["errors"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
