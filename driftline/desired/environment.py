"""Argo CD's build environment and its `$NAME` substitution (GEN-11). Called by the renderers."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from driftline.model.application import Application, Source

_NAME = re.compile(r"\$(?:\{([*#$@!?\-0-9])\}|\{([^}]*)\}|(\{)|([*#$@!?\-0-9])|([A-Za-z0-9_]+))")
REVISION_NAMES = frozenset({"ARGOCD_APP_REVISION", "ARGOCD_APP_REVISION_SHORT", "ARGOCD_APP_REVISION_SHORT_8"})
"""Names whose values change with each commit, whatever it touches."""


@dataclass
class Environment:
    """The variables, and which of them were used: a render that uses the revision is new with each commit."""

    values: Mapping[str, str]
    used: set[str] = field(default_factory=set)

    def expand(self, text: str) -> str:
        """Replace `$NAME` and `${NAME}`; `$$` is a dollar, an unknown name is empty, as in Go's os.Expand."""

        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2] or match[4] or match[5] or ""
            if name == "$":
                return "$"
            self.used.add(name)
            return self.values.get(name, "")

        return _NAME.sub(value, text) if "$" in text else text

    @property
    def volatile(self) -> bool:
        """Whether anything was expanded that changes with each commit."""
        return not self.used.isdisjoint(REVISION_NAMES)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Names that were used and stand for nothing."""
        return tuple(sorted(name for name in self.used if name and name not in self.values))


def build_environment(
    application: Application, source: Source, commit: str, kube_version: str, api_versions: tuple[str, ...]
) -> Environment:
    """The variables for one source of an application at a commit."""
    return Environment(
        {
            "ARGOCD_APP_NAME": application.name,
            "ARGOCD_APP_NAMESPACE": application.destination.namespace,
            "ARGOCD_APP_PROJECT_NAME": application.project,
            "ARGOCD_APP_REVISION": commit,
            "ARGOCD_APP_REVISION_SHORT": commit[:7],
            "ARGOCD_APP_REVISION_SHORT_8": commit[:8],
            "ARGOCD_APP_SOURCE_PATH": source.path,
            "ARGOCD_APP_SOURCE_REPO_URL": source.repo_url,
            "ARGOCD_APP_SOURCE_TARGET_REVISION": source.target_revision,
            "KUBE_VERSION": kube_version,
            "KUBE_API_VERSIONS": ",".join(api_versions),
        }
    )
