"""Charts that other charts depend on: which repository they come from, and with whose credentials.

As in Argo CD, a project's `sourceRepos` does not say which dependencies are allowed, but whose credentials are used for
them: those of registered repositories that the project may read, and no others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from driftline.access.projects import source_allowed
from driftline.adapters.store import repositories
from driftline.adapters.store.repositories import RepositoryRow
from driftline.desired.dependencies import Need, Supply
from driftline.desired.urls import longest_prefix
from driftline.flow.access import repository
from driftline.flow.edges import Edges
from driftline.flow.projects import project_of
from driftline.model.access import RepositoryAccess
from driftline.model.application import Application
from driftline.model.errors import Permanent, Temporary

_OCI = "oci://"


class Cold(Temporary):
    """The render has to start a tool, or to pull a chart; that belongs to the slow workers."""


@dataclass
class Pantry:
    """Supplies the charts that one application's charts depend on, each the same however often it is asked for.

    `fast`: only what is here already. `anew`: ranges are looked up again, however fresh the last look is.
    """

    edges: Edges
    app: Application
    fast: bool
    anew: bool = False
    _found: dict[Need, Supply] = field(default_factory=dict, init=False)
    _rows: Sequence[RepositoryRow] | None = field(default=None, init=False)

    def supply(self, need: Need) -> Supply:
        """The chart of a need, pulled once. Raises Cold if it has to be pulled and that is not for now."""
        try:
            # Asked for by the key and again by the render: both have to mean the same content.
            if need not in self._found:
                self._found[need] = self._supplied(need)
            return self._found[need]
        except Cold:
            raise
        except Temporary as error:
            raise Temporary(f"{need}: {error.message}", error.delay) from error
        except Permanent as error:
            raise Permanent(f"{need}: {error.message}") from error

    def _supplied(self, need: Need) -> Supply:
        charts, access = self.edges.charts, self._access(need)
        if need.exact:
            found = charts.known(access, need.name, need.version)
        else:
            age = timedelta(0) if self.anew else charts.settings.range_age
            found = charts.chosen(access, need.name, need.version, age)
        if found is None and self.fast:
            raise Cold(f"{need}: is pulled by a worker for slow work")
        if found is None:
            found = (charts.pull if need.exact else charts.choose)(access, need.name, need.version)
        return Supply(found.version, found.digest, charts.tree(found.digest))

    def _access(self, need: Need) -> RepositoryAccess:
        """How to reach the repository of a need: as the registered one whose URL covers it, else as anybody."""
        if need.repository.startswith(("@", "alias:")):
            row = self._called(need.repository.removeprefix("@").removeprefix("alias:"))
            return self._opened(row, row.url)
        kind = "oci" if need.repository.lower().startswith(_OCI) else "helm"
        rows = {_spelled(row): row for row in reversed(self._usable()) if row.kind == kind}
        covering = longest_prefix(need.repository, rows)
        if covering is not None:
            return self._opened(rows[covering], need.repository)
        inside = self.edges.settings.chart_private_addresses
        return RepositoryAccess(need.repository, kind=kind, public_only=not inside)

    def _called(self, name: str) -> RepositoryRow:
        found = [row for row in self._usable() if not row.is_template and (row.options or {}).get("name") == name]
        if not found:
            raise Permanent(
                f"no repository of the name {name[:80]!r} is registered for project {self.app.project or 'default'}; "
                "register it with `driftline repo add --name`, or write its URL"
            )
        return found[0]

    def _opened(self, row: RepositoryRow, url: str) -> RepositoryAccess:
        with self.edges.store.read() as db:
            return replace(repository(db, self.edges, row), url=url, kind=row.kind)

    def _usable(self) -> Sequence[RepositoryRow]:
        """Registered repositories and templates of charts that the project may read, its own before everybody's."""
        if self._rows is None:
            project = project_of(self.app.project)
            with self.edges.store.read() as db:
                places = ["", project.name]
                rows = [
                    *repositories.everything(db, places),
                    *repositories.everything(db, places, templates=True),
                ]
            # A row without options is one that an application named and nobody registered.
            known = [row for row in rows if row.kind in ("helm", "oci") and row.options is not None]
            allowed = [row for row in known if source_allowed(project, row.url)]
            self._rows = sorted(allowed, key=lambda row: (row.is_template, row.project == "", row.url))
        return self._rows


def _spelled(row: RepositoryRow) -> str:
    return row.url if row.kind != "oci" or "://" in row.url else f"{_OCI}{row.url}"
