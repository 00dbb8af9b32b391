"""The Git hosts and registries Driftline understands. A new one is a module, a row here, its payloads in the tests."""

from collections.abc import Mapping

from service.providers import (
    azure,
    bitbucket_cloud,
    bitbucket_dc,
    forgejo,
    generic,
    gitea,
    github,
    gitlab,
    gogs,
    harbor,
)
from service.providers.host import Headers, Host

HOSTS: Mapping[str, Host] = {
    host.name: host
    # In order of recognition: Forgejo also sends Gitea's headers, both send Gogs', and all three send GitHub's;
    # Harbor has none of its own.
    for host in (
        forgejo.HOST,
        gitea.HOST,
        gogs.HOST,
        github.HOST,
        gitlab.HOST,
        bitbucket_cloud.HOST,
        bitbucket_dc.HOST,
        azure.HOST,
        generic.HOST,
        harbor.HOST,
    )
}


def recognise(headers: Headers) -> Host | None:
    """The host whose headers these are, or None."""
    return next((host for host in HOSTS.values() if host.matches(headers)), None)
