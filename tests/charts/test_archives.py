"""Archives of charts: only sound ones are let in, and what is in use or whole stays."""

import gzip
import io
import os
import tarfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest

from driftline.adapters.charts import Charts, ChartSettings
from driftline.adapters.charts.archive import unpack
from driftline.model.access import RepositoryAccess
from driftline.model.errors import Permanent, Temporary
from tests.charts.conftest import MakeCharts
from tests.kit.charthost import ChartHost

CHART = b"apiVersion: v2\nname: web\nversion: 1.0.0\n"
Make = Callable[[tarfile.TarFile], None]


def file(archive: tarfile.TarFile, name: str, content: bytes = b"x", **more: object) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    for field, value in more.items():
        setattr(member, field, value)
    archive.addfile(member, io.BytesIO(content) if member.size and not more.get("linkname") else None)


def files(archive: tarfile.TarFile, count: int, size: int) -> None:
    for number in range(count):
        file(archive, f"web/{number}", os.urandom(size))


def packed(make: Make, top: str = "web", chart: bytes = CHART) -> bytes:
    """A chart's archive, and what else `make` puts into it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        file(archive, f"{top}/Chart.yaml", chart)
        make(archive)
    return content.getvalue()


def linked(name: str, target: str, kind: bytes) -> Make:
    return lambda archive: file(archive, name, b"", type=kind, linkname=target)


HOSTILE: dict[str, tuple[Make, str]] = {
    "parent": (lambda archive: file(archive, "web/../../evil"), "leads out of the archive"),
    "absolute": (lambda archive: file(archive, "/etc/cron.d/evil"), "leads out of the archive"),
    "backslash": (lambda archive: file(archive, "web\\..\\evil"), "leads out of the archive"),
    "drive": (lambda archive: file(archive, "C:/evil"), "leads out of the archive"),
    "outside": (lambda archive: file(archive, "other/file"), "want one directory at the top"),
    "beside": (lambda archive: file(archive, "README.md"), "want one directory at the top"),
    "symlink": (linked("web/link", "/proc/self/environ", tarfile.SYMTYPE), "is a link"),
    "inner symlink": (linked("web/link", "Chart.yaml", tarfile.SYMTYPE), "is a link"),
    "hard link": (linked("web/link", "web/Chart.yaml", tarfile.LNKTYPE), "is a link"),
    "device": (lambda archive: file(archive, "web/null", b"", type=tarfile.CHRTYPE), "is a device or pipe"),
    "pipe": (lambda archive: file(archive, "web/pipe", b"", type=tarfile.FIFOTYPE), "is a device or pipe"),
    "twice": (lambda archive: file(archive, "web/./Chart.yaml"), "is there twice"),
    "below a file": (lambda archive: file(archive, "web/Chart.yaml/x"), "lies below something that is a file"),
    "large file": (lambda archive: file(archive, "web/big", os.urandom(3000)), "is larger than 2000 bytes"),
    "many": (lambda archive: files(archive, 60, 0), "holds more than 50 entries"),
    "large": (lambda archive: files(archive, 40, 1900), "unpacks to"),
    "not utf-8": (lambda archive: file(archive, "web/\udcff"), "is no UTF-8 text"),
}
SMALL = ChartSettings(files=50, file_size=2000, unpacked_size=80_000)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_archives_are_refused(case: str) -> None:
    make, said = HOSTILE[case]
    with pytest.raises(Permanent, match=f"^web.tgz: .*{said}"):
        unpack([packed(make)], "web.tgz", SMALL)


@pytest.mark.parametrize(
    ("top", "chart", "said"),
    [
        ("web", b"name: other\nversion: 1.0.0\n", "its directory is 'web', its Chart.yaml says 'other'"),
        ("web", b"name: ../web\nversion: 1.0.0\n", "want a name that is no path"),
        ("web", b"name: .\nversion: 1.0.0\n", "want a name that is no path"),
        ("web", b"name: web\nversion: 1\n", "and a version"),
        ("web", b"[" * 100_000, "Chart.yaml"),
        ("web", b"", "want a name"),
    ],
)
def test_a_chart_has_a_name_that_is_its_directorys(top: str, chart: bytes, said: str) -> None:
    with pytest.raises(Permanent, match=said):
        unpack([packed(lambda archive: None, top, chart)], "web.tgz", ChartSettings())


def zeros(archive: tarfile.TarFile) -> None:
    for number in range(12):
        file(archive, f"web/{number}", bytes(4 * 1024 * 1024))


def test_bombs_are_not_unpacked() -> None:
    content = io.BytesIO()
    with gzip.open(content, "wb") as bomb:
        for _ in range(64):
            bomb.write(bytes(1024 * 1024))
    with pytest.raises(Permanent, match="times its size, as no chart does"):
        unpack([packed(zeros)], "web.tgz", ChartSettings())
    trailing = packed(lambda archive: None) + content.getvalue()
    with pytest.raises(Permanent, match="times its size, as no chart does"):
        unpack([trailing], "web.tgz", ChartSettings())


def test_a_pax_header_that_lies_about_a_size_is_refused() -> None:
    def lie(archive: tarfile.TarFile) -> None:
        member = tarfile.TarInfo("web/x")
        member.pax_headers = {"size": "99999999999"}
        archive.addfile(member)

    with pytest.raises(Permanent, match="is larger than"):
        unpack([packed(lie)], "web.tgz", ChartSettings())


@pytest.mark.parametrize("cut", [0, 5, 60, -9, -1])
def test_damaged_archives_are_refused(cut: int) -> None:
    whole = packed(lambda archive: file(archive, "web/values.yaml", os.urandom(1000)))
    with pytest.raises(Permanent, match="damaged"):
        unpack([whole[:cut]], "web.tgz", ChartSettings())
    with pytest.raises(Permanent, match="is no gzip archive"):
        unpack([b"<html>no chart</html>"], "web.tgz", ChartSettings())


def test_an_archive_in_pieces_is_the_same() -> None:
    whole = packed(lambda archive: file(archive, "./web/templates/a.yaml", b"a: 1\n" * 1000))
    pieces = [whole[place : place + 7] for place in range(0, len(whole), 7)]
    found = unpack(pieces, "web.tgz", ChartSettings())
    assert found == unpack([whole], "web.tgz", ChartSettings())
    assert (found.name, found.version, sorted(found.files)) == ("web", "1.0.0", ["Chart.yaml", "templates/a.yaml"])


def test_a_refused_archive_is_not_kept(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path
) -> None:
    (host.directory / "web-1.0.0.tgz").write_bytes(packed(HOSTILE["symlink"][0]))
    (host.directory / "index.yaml").write_text(
        "entries:\n  web:\n  - name: web\n    version: 1.0.0\n    urls: [web-1.0.0.tgz]\n"
    )
    with pytest.raises(Permanent, match=r"/charts/web-1\.0\.0\.tgz: 'web/link': is a link"):
        charts.pull(access, "web", "1.0.0")
    assert [path for name in ("archives", "scratch") for path in (tmp_path / "kept" / name).rglob("*")] == []


def test_a_chart_that_is_in_use_stays_readable_when_it_is_removed(
    host: ChartHost, access: RepositoryAccess, make_charts: MakeCharts
) -> None:
    host.publish("redis", "1.0.0")
    charts = make_charts(quota=0)
    chart = charts.pull(access, "redis", "1.0.0")
    tree = charts.tree(chart.digest)
    report = make_charts(quota=0).housekeeping()
    assert (report.charts, report.size) == (1, 0) and not charts.contains(chart.digest)
    assert tree.read(["values.yaml"]) == {"values.yaml": b"greeting: hello\n"}
    with pytest.raises(Temporary, match="is not here any more"):
        charts.tree(chart.digest)
    assert charts.pull(access, "redis", "1.0.0") == chart and charts.tree(chart.digest).read(["Chart.yaml"])


def test_the_least_used_charts_go_first_and_old_ones_in_any_case(
    host: ChartHost, access: RepositoryAccess, make_charts: MakeCharts, tmp_path: Path
) -> None:
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        size = host.publish("redis", version).stat().st_size
    charts = make_charts(quota=2 * size + size // 2)
    first, second, third = (charts.pull(access, "redis", each).digest for each in ("1.0.0", "1.1.0", "1.2.0"))
    for age, digest in ((60, first), (30, second), (10, third)):
        age_archive(tmp_path, digest, age)
    charts.tree(first)
    assert charts.housekeeping().charts == 1
    assert [charts.contains(each) for each in (first, second, third)] == [True, False, True]
    age_archive(tmp_path, third, 999)
    report = make_charts(kept=timedelta(seconds=500)).housekeeping()
    assert report.charts == 1 and charts.contains(first) and not charts.contains(third)


def age_archive(tmp_path: Path, digest: str, seconds: float) -> None:
    (archive,) = (tmp_path / "kept").rglob(f"{digest.removeprefix('sha256:')}.tgz")
    then = time.time() - seconds
    os.utime(archive, (then, then))


def test_leftovers_of_killed_processes_and_unused_repositories_go(
    host: ChartHost, access: RepositoryAccess, make_charts: MakeCharts, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    charts = make_charts(kept=timedelta(seconds=500))
    charts.pull(access, "redis", "1.0.0")
    scratch = tmp_path / "kept" / "scratch" / "left.tgz"
    scratch.write_bytes(b"x")
    assert charts.housekeeping().leftovers == 0
    then = time.time() - 1000
    os.utime(scratch, (then, then))
    (place,) = [path for path in (tmp_path / "kept" / "repositories").iterdir() if path.is_dir()]
    os.utime(place, (then, then))
    report = charts.housekeeping()
    assert (report.leftovers, report.repositories) == (1, 1)
    charts.pull(access, "redis", "1.0.0")
    (place,) = [path for path in (tmp_path / "kept" / "repositories").iterdir() if path.is_dir()]
    os.utime(place, (then, then))
    assert charts.known(access, "redis", "1.0.0") and charts.housekeeping().repositories == 0
    assert charts.versions(access, "redis") == ("1.0.0",)


def test_what_the_disk_damaged_is_pulled_again(
    host: ChartHost, access: RepositoryAccess, charts: Charts, tmp_path: Path
) -> None:
    host.publish("redis", "1.0.0")
    chart = charts.pull(access, "redis", "1.0.0")
    (archive,) = (tmp_path / "kept").rglob("*.tgz")
    archive.write_bytes(archive.read_bytes()[:100])
    with pytest.raises(Temporary, match=r"redis-1\.0\.0: its archive was damaged"):
        charts.tree(chart.digest).read(["values.yaml"])
    charts.pull(access, "redis", "1.0.0")
    assert charts.tree(chart.digest).read(["values.yaml"])


def test_many_at_once(host: ChartHost, access: RepositoryAccess, make_charts: MakeCharts) -> None:
    host.publish("redis", "1.0.0")
    host.publish("web", "1.0.0")
    processes = [make_charts() for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        wanted = [(each, name) for each in processes for name in ("redis", "web")] * 3
        found = set(pool.map(lambda pair: pair[0].pull(access, pair[1], "1.0.0"), wanted))
    assert {chart.name for chart in found} == {"redis", "web"} and len(found) == 2
    sent = sorted(path for path in host.paths() if path.endswith(".tgz"))
    assert sent == ["/charts/redis-1.0.0.tgz", "/charts/web-1.0.0.tgz"], "each archive is sent once"


@pytest.mark.parametrize("digest", ["../../etc/passwd", "sha256:../x", "sha256:" + "g" * 64, ""])
def test_a_digest_is_no_path(digest: str, charts: Charts) -> None:
    with pytest.raises(Permanent, match="is no digest of a chart"):
        charts.tree(digest)
