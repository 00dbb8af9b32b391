"""Gogs. Source: gogs.io/docs, 'Webhook'."""

from service.providers.gitea_family import family_host
from service.providers.host import Headers, Secret
from service.providers.signatures import signed


def matches(headers: Headers) -> bool:
    return "x-gogs-event" in headers


def authentic(headers: Headers, body: bytes, secret: Secret) -> bool:
    return signed(headers.get("x-gogs-signature", ""), body, secret)


HOST = family_host("gogs", matches, authentic)
