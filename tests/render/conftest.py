"""Renderers over the real kubectl and Helm."""

import os
import shutil
from collections.abc import Iterator

import pytest

from driftline.adapters.render.renderers import Renderers
from driftline.adapters.render.settings import RenderSettings


@pytest.fixture(scope="session")
def settings() -> RenderSettings:
    """Real tools with their real limits. Helm: `DRIFTLINE_HELM`, else PATH, else built as `make` builds it."""
    helm = os.environ.get("DRIFTLINE_HELM") or shutil.which("helm")
    if helm is None:
        from deploy.localcluster.build import helm as built

        helm = str(built())
    return RenderSettings(helm=helm)


@pytest.fixture(scope="session")
def renderers(settings: RenderSettings) -> Iterator[Renderers]:
    made = Renderers(settings)
    yield made
    made.close()
