"""The index of a chart repository: cut out or read as a whole, the answer is the same."""

import hypothesis.strategies as st
import orjson
import pytest
import yaml
from hypothesis import example, given

from driftline.formats.charts import Listed, chart_versions
from driftline.formats.yaml import Limits, load_documents
from driftline.model.errors import Permanent

HELM = b"""apiVersion: v1
entries:
  web:
  - apiVersion: v2
    description: |
      redis:
        not a chart
    digest: AA00000000000000000000000000000000000000000000000000000000000011
    name: web
    urls:
    - web-1.0.0.tgz
    version: 1.0.0

  # a comment
  redis:
  - name: redis
    urls: [https://example.org/redis-2.tgz, https://example.org/mirror.tgz]
    version: 2.0.0+build.1
  - name: redis
    version: 1.0.0
generated: "2026-01-01T00:00:00Z"
"""


def versions(content: bytes, chart: str) -> tuple[Listed, ...]:
    return chart_versions(content, chart, "index.yaml", Limits())


def test_one_chart_of_an_index() -> None:
    digest = "sha256:aa00000000000000000000000000000000000000000000000000000000000011"
    assert versions(HELM, "web") == (Listed("1.0.0", digest, ("web-1.0.0.tgz",)),)
    urls = ("https://example.org/redis-2.tgz", "https://example.org/mirror.tgz")
    assert versions(HELM, "redis") == (Listed("2.0.0+build.1", "", urls),)
    assert versions(HELM, "red") == versions(HELM, "name") == ()
    assert versions(HELM.replace(b"\n", b"\r\n"), "web") == versions(HELM, "web")


@pytest.mark.parametrize(
    "content",
    [
        b"entries:\n  -a:\n  - version: 0.1.0\n    urls: [a]\n  web:\n  - version: 1.0.0\n    urls: [w]\n",
        b"entries:\n  -a:\n    - version: 0.1.0\n      urls: [a]\n  web:\n    - version: 1.0.0\n      urls: [w]\n",
        b"entries:\n  {web: [{version: 1.0.0, urls: [w]}]}\n",
        b"entries:\n  &all\n  web: [{version: 1.0.0, urls: [w]}]\n",
        b"entries:\n  ? web\n  : - version: 1.0.0\n      urls: [w]\n",
    ],
)
def test_an_unusual_layout_hides_no_chart(content: bytes) -> None:
    assert versions(content, "web") == (Listed("1.0.0", "", ("w",)),)


def test_another_chart_that_is_broken_does_not_matter() -> None:
    assert versions(HELM.replace(b"  web:\n", b"  web:\n  - [\n"), "redis") == versions(HELM, "redis")


def test_a_chart_without_versions_is_not_the_same_as_one_that_cannot_be_read() -> None:
    assert versions(b"entries:\n  web:\n  other: []\n", "web") == ()
    assert versions(b"entries: {}\n", "web") == ()
    for broken in (
        b"entries:\n  web: 7\n",
        b"entries:\n  web: {}\n",
        b"entries:\n  - web: []\n",
        b"entries: 1\n",
        b"",
        b"- 1\n",
    ):
        with pytest.raises(Permanent):
            versions(broken + (b"" if b"web: {}" not in broken else b"  x: [\n"), "web")


NAMES = st.text("abz-.09'\": #", min_size=1, max_size=6)
TEXTS = st.text("ab:\n -#'\"&*[]{}|>!%@`", max_size=30)
ENTRY = st.fixed_dictionaries(
    {"version": st.sampled_from(["1.0.0", "2.0.0-rc.1+x", "v3"]), "urls": st.lists(TEXTS.filter(bool), max_size=2)},
    optional={"description": TEXTS, "digest": st.text("0123456789abcdef", min_size=64, max_size=64), "name": NAMES},
)


@given(
    st.dictionaries(NAMES, st.lists(ENTRY, max_size=3), max_size=4),
    NAMES,
    st.booleans(),
    st.sampled_from([2, 4]),
    st.sampled_from([20, 80]),
)
@example({"-a": [{"version": "1.0.0", "urls": []}], "0": [{"version": "1.0.0", "urls": [":"]}]}, "0", False, 2, 20)
def test_cut_out_or_as_a_whole(
    entries: dict[str, list[dict[str, object]]], asked: str, flow: bool, indent: int, width: int
) -> None:
    index = {"apiVersion": "v1", "entries": entries, "generated": "now"}
    content = yaml.safe_dump(index, default_flow_style=flow, indent=indent, width=width).encode()
    (whole,) = load_documents(content, "index.yaml")
    for chart in [asked, *entries]:
        assert versions(content, chart) == versions(orjson.dumps(whole), chart)
