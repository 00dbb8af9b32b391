"""Only who knows the secret is believed, and no header whatever raises."""

import base64
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.providers.host import Secret
from service.providers.table import HOSTS
from tests.kit import payloads
from tests.kit.payloads import Told, web_of

EVERY_HOST = sorted(payloads.PUSH)
PROOF = {
    "github": "x-hub-signature-256",
    "gitlab": "x-gitlab-token",
    "gitea": "x-gitea-signature",
    "forgejo": "x-forgejo-signature",
    "gogs": "x-gogs-signature",
    "bitbucket_cloud": "x-hub-signature",
    "bitbucket_dc": "x-hub-signature",
    "azure": "authorization",
    "generic": "x-driftline-signature",
}


def signed(provider: str, secret: str = "") -> tuple[dict[str, str], bytes]:
    headers, body = payloads.PUSH[provider](Told(web_of(provider))).signed(secret)
    return {name.lower(): value for name, value in headers.items()}, body


def believed(provider: str, headers: dict[str, str], body: bytes, secret: str = "") -> bool:
    return HOSTS[provider].authentic(headers, body, Secret(secret or payloads.secret_of(provider)))


@pytest.mark.covers("WH-02")
@pytest.mark.parametrize("provider", EVERY_HOST)
def test_the_right_secret_is_believed_and_another_is_not(provider: str) -> None:
    headers, body = signed(provider)
    assert believed(provider, headers, body)
    assert not believed(provider, headers, body, "hooks:another")


@pytest.mark.parametrize("provider", sorted(set(EVERY_HOST) - {"gitlab", "azure"}))
def test_a_changed_body_is_not_believed(provider: str) -> None:
    headers, body = signed(provider)
    assert not believed(provider, headers, body + b" ")


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_an_empty_secret_believes_nobody(provider: str) -> None:
    headers, body = signed(provider)
    empty = hmac.digest(b"", body, "sha256").hex()
    for proof in (headers[PROOF[provider]], "", empty, f"sha256={empty}", "Basic Og==", "Basic "):
        assert not HOSTS[provider].authentic({**headers, PROOF[provider]: proof}, body, Secret(""))


WRONG = ["", "sha256=", "sha1=" + "0" * 40, "0" * 64, "sha256=" + "0" * 64, "ü" * 64, "sha256=ÿ\x80", "\ud800", "💣",
         "Basic", "Basic !!!", "Basic w7w=", "Bearer x", "a" * 100_000]  # fmt: skip


@pytest.mark.parametrize("proof", WRONG)
@pytest.mark.parametrize("provider", EVERY_HOST)
def test_no_wrong_signature_is_believed_or_raises(provider: str, proof: str) -> None:
    headers, body = signed(provider)
    assert not believed(provider, {**headers, PROOF[provider]: proof}, body)


@given(proof=st.text(), secret=st.text(min_size=1), body=st.binary())
def test_no_text_as_signature_is_believed_or_raises(proof: str, secret: str, body: bytes) -> None:
    for provider, header in PROOF.items():
        believed_now = HOSTS[provider].authentic({header: proof}, body, Secret(secret))
        assert not believed_now or (provider == "gitlab" and proof == secret)


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_a_missing_header_is_not_believed(provider: str) -> None:
    _, body = signed(provider)
    assert not believed(provider, {}, body)


@pytest.mark.parametrize("provider", EVERY_HOST)
def test_a_secret_with_letters_beyond_ascii_works_as_hosts_send_it(provider: str) -> None:
    secret = "hooks:pässwörter-💣"
    headers, body = signed(provider, secret)
    # WSGI hands over the bytes of a header as Latin-1.
    wire = {name: value.encode().decode("latin-1") for name, value in headers.items()}
    assert believed(provider, wire, body, secret)


def test_the_sha1_signature_of_github_is_not_looked_at() -> None:
    headers, body = signed("github")
    sha1 = hmac.digest(payloads.SECRET.encode(), body, "sha1").hex()
    headers["x-hub-signature"] = f"sha1={sha1}"
    del headers["x-hub-signature-256"]
    assert not believed("github", headers, body)


def test_a_wrong_forgejo_signature_is_not_rescued_by_giteas() -> None:
    headers, body = signed("forgejo")
    headers["x-forgejo-signature"] = "0" * 64
    assert not believed("forgejo", headers, body)


def test_forgejo_before_it_had_headers_of_its_own() -> None:
    headers, body = signed("forgejo")
    del headers["x-forgejo-signature"]
    assert believed("forgejo", headers, body)


UUID = "{1a2b3c4d-0000-4000-8000-abcdefabcdef}"


def test_bitbucket_cloud_without_a_secret_is_known_by_its_hook() -> None:
    headers, body = signed("bitbucket_cloud")
    del headers["x-hub-signature"]
    assert believed("bitbucket_cloud", headers, body, UUID)
    assert believed("bitbucket_cloud", headers, body, UUID.strip("{}").upper())
    assert not believed("bitbucket_cloud", headers, body, UUID.replace("1a", "1b"))
    assert not believed("bitbucket_cloud", headers, body)


def test_a_known_hook_does_not_rescue_a_wrong_signature() -> None:
    headers, body = signed("bitbucket_cloud")
    headers["x-hub-signature"] = "sha256=" + "0" * 64
    assert not believed("bitbucket_cloud", headers, body, UUID)


def test_gitlabs_signing_token() -> None:
    key = b"k" * 32
    secret = "whsec_" + base64.b64encode(key).decode()
    headers, body = signed("gitlab")
    del headers["x-gitlab-token"]
    headers |= {"webhook-id": "d-1", "webhook-timestamp": "1790000000"}
    right = base64.b64encode(hmac.digest(key, b"d-1.1790000000." + body, "sha256")).decode()
    headers["webhook-signature"] = f"v1,AAAA v1,{right}"
    assert believed("gitlab", headers, body, secret)
    assert not believed("gitlab", headers, body + b" ", secret)
    assert not believed("gitlab", {**headers, "webhook-id": "d-2"}, body, secret)
    assert not believed("gitlab", headers, body, "whsec_not base64")
