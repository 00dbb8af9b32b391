"""Reads the index of a chart repository in a child process that can lose nothing but itself.

The child is started with no network, limited memory and an empty environment; the index is its standard input.
"""

import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import orjson

from driftline.adapters.render.sandbox import Spawner
from driftline.adapters.render.settings import MIB, ProcessLimits
from driftline.adapters.render.tools import ended, kill
from driftline.formats.charts import Listed, chart_versions
from driftline.formats.yaml import Limits
from driftline.model.errors import Permanent, Temporary

_LIMITS = ProcessLimits(data=1024 * MIB, cpu=timedelta(seconds=60), file_size=16 * MIB)
_DEADLINE = timedelta(seconds=90)
_NODES = 5_000_000
_PROGRAM = "import sys; sys.path.insert(0, {root!r}); from driftline.adapters.charts.reader import main; main()"


class IndexReader:
    """Reads one chart's versions out of an index. Safe for threads; each look has a process of its own."""

    def __init__(self, allow_unsandboxed: bool = False) -> None:
        self._spawner = Spawner(_LIMITS, allow_unsandboxed)

    def versions(self, index: Path, chart: str, shown: str) -> tuple[Listed, ...]:
        """The versions of `chart`; `shown` names the index in messages.

        Raises Permanent for what is no index or takes too much to read.
        """
        command = [sys.executable, "-I", "-c", _PROGRAM.format(root=str(Path(__file__).parents[3])), chart, shown]
        with open(index, "rb") as source, tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            process = self._spawner.start(command, "/", {"LC_ALL": "C.UTF-8"}, source.fileno(), output, errors)
            try:
                used = ended(process, _DEADLINE.total_seconds())
            finally:
                kill(process)
            output.seek(0)
            answer = output.read()
        if used is None:
            raise Permanent(f"{shown}: reading it took longer than {_DEADLINE.total_seconds():.0f} s and was stopped")
        if process.returncode == -9 and used < _LIMITS.cpu.total_seconds() * 0.7:
            raise Temporary(f"{shown}: its reader was killed from outside; the machine may be out of memory")
        if process.returncode != 0:
            raise Permanent(f"{shown}: takes too much memory or time to read; is it the index of a chart repository?")
        found = orjson.loads(answer)
        if isinstance(found, str):
            raise Permanent(found)
        return tuple(Listed(version, digest, tuple(urls)) for version, digest, urls in found)

    def close(self) -> None:
        """End what was started."""
        self._spawner.close()


def main() -> None:
    """Write the versions of the chart in the first argument, or the text of what is wrong, as JSON."""
    content = sys.stdin.buffer.read()
    chart, shown = sys.argv[1], sys.argv[2]
    answer: object
    try:
        found = chart_versions(content, chart, shown, Limits(size=len(content), nodes=_NODES))
        answer = [(each.version, each.digest, each.urls) for each in found]
    except Permanent as error:
        answer = error.message
    sys.stdout.buffer.write(orjson.dumps(answer))


if __name__ == "__main__":
    main()
