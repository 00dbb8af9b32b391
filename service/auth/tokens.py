"""The secrets that sessions and API tokens are: random, opaque, stored hashed only."""

import hashlib
import re
import secrets

from service.auth.accounts import CredentialKind

_PREFIX = {CredentialKind.SESSION: "dls_", CredentialKind.API: "dlt_"}
"""Tells them apart at a glance, and lets scanners for leaked secrets find them."""
_FORM = re.compile("dl[st]_[A-Za-z0-9_-]{43}")


def new_token(kind: CredentialKind) -> str:
    """A token of 256 random bits."""
    return _PREFIX[kind] + secrets.token_urlsafe(32)


def is_token(text: str) -> bool:
    """Whether it has the form of our tokens. Everything else (a JWT, for example) is not even looked up."""
    return _FORM.fullmatch(text) is not None


def hashed(token: str) -> str:
    """What is stored. A plain hash is enough: nobody can guess 256 bits."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def new_id() -> str:
    """A public name for a credential."""
    return secrets.token_hex(8)
