"""Gitea. Source: docs.gitea.com, 'Webhooks'; it sends GitHub's and Gogs' headers too."""

from service.providers.gitea_family import family_host
from service.providers.host import Headers, Secret
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-gitea-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    return signed(headers.get("x-gitea-signature", ""), body, secret)


HOST = family_host("gitea", matches, authentic)
