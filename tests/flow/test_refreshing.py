"""A person asks for a look: at the cluster anew, or with a new render as well."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from deploy.localcluster.build import helm
from driftline.adapters.git import Fetched
from driftline.adapters.render.request import Rendered, RenderRequest
from driftline.flow import operate
from driftline.model.access import RepositoryAccess
from tests.flow.installation import Installation

CHART = {"app/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "app/values.yaml": "a: '1'\n"}
PLAIN = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {a: %s}\n"


@pytest.fixture
def charts(small: Installation) -> Installation:
    small.edges.close()
    small.edges = small.more_edges(helm=str(helm()))
    return small


def renders(here: Installation, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The applications that are rendered from now on."""
    made: list[str] = []
    render = here.edges.renderers.render

    def counted(each: RenderRequest) -> Rendered:
        made.append(each.application.name)
        return render(each)

    monkeypatch.setattr(here.edges.renderers, "render", counted)
    return made


@pytest.mark.covers("RFR-02")
def test_a_hard_refresh_renders_anew_and_writes_nothing(charts: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    charts.push({**CHART, "app/templates/one.yaml": PLAIN % "{{ .Values.a | quote }}"})
    name = charts.declare()
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    made, mark = renders(charts, monkeypatch), charts.local.audit_mark()
    operate.refresh(charts.edges, name)
    charts.settle()
    assert made == [], "the stored render is of the same content"
    operate.refresh(charts.edges, name, hard=True)
    charts.settle()
    assert made == [name]
    assert charts.status(name) == ("Synced", "Healthy")
    assert written(charts, mark) == [] and charts.phases(name) == [("git", "Succeeded")]
    charts.look(name, fresh=True)
    charts.settle()
    assert made == [name], "a hard refresh was asked for once"


@pytest.mark.covers("GEN-09", "RFR-02")
def test_a_chart_with_random_values_is_flagged_and_stays_as_it_was_rendered(charts: Installation) -> None:
    charts.push({**CHART, "app/templates/one.yaml": PLAIN % "{{ randAlphaNum 20 | quote }}"})
    name = charts.declare()
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    assert "app/templates/one.yaml: uses randAlphaNum" in charts.conditions(name)["RenderWarning"]
    mark, before = charts.local.audit_mark(), charts.config("one")
    operate.refresh(charts.edges, name, hard=True)
    charts.settle()
    assert charts.status(name) == ("Synced", "Healthy")
    assert "ConfigMap one: rendered differently" in charts.conditions(name)["RandomRenderWarning"]
    assert written(charts, mark) == [] and charts.config("one") == before


def written(here: Installation, mark: int) -> list[str]:
    entries = here.local.audit(mark)
    return [
        f"{entry.verb} {entry.uri}"
        for entry in entries
        if entry.user == "driftline"
        and entry.verb in ("create", "patch", "update", "delete")
        and "dryRun" not in entry.uri
    ]


def test_a_plain_application_is_rendered_anew_as_well(small: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    name = small.declare()
    small.settle()
    made, mark = renders(small, monkeypatch), small.local.audit_mark()
    operate.refresh(small.edges, name, hard=True)
    small.settle()
    assert made == [name] and written(small, mark) == []
    assert small.status(name) == ("Synced", "Healthy")


def test_a_storm_of_deliveries_without_news_is_answered_by_a_few_fetches(small: Installation) -> None:
    small.push({"app/one.yaml": PLAIN % "'1'"})
    small.declare()
    small.settle()
    paused: list[float] = []

    def pause(seconds: float) -> None:
        paused.append(seconds)

    small.edges = replace(small.edges, pause=pause)
    small.fetch()
    small.settle()
    assert paused == [], "one delivery is looked into at once"

    ask = small.edges.mirrors.fetch

    def meanwhile(access: RepositoryAccess, refs: Sequence[str]) -> Fetched:
        if not paused:
            small.fetch()
        return ask(access, refs)

    small.fetch()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(small.edges.mirrors, "fetch", meanwhile)
        assert small.settle() == 2, "it was announced while it was fetched, so it is fetched again"
    assert len(paused) == 1
