"""Forgejo, which sends Gitea's, Gogs' and GitHub's headers beside its own. Source: forgejo.org/docs, 'Webhooks'."""

from service.providers.gitea_family import family_host
from service.providers.host import Headers, Secret
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-forgejo-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    """By its own header; by Gitea's only where an old version sent no other."""
    given = headers.get("x-forgejo-signature", headers.get("x-gitea-signature", ""))
    return signed(given, body, secret)


HOST = family_host("forgejo", matches, authentic)
