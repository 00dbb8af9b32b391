"""Who logs in from where, when proxies stand between: believed as far as the operator says, and never further."""

import ipaddress

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from driftline.model.errors import Permanent
from service.auth.addresses import Proxies, client_address, parse_proxies
from tests.unit.auth.site import PASSWORD, site

PROXY, CLIENT, FORGED = "10.0.0.7", "203.0.113.9", "198.51.100.66"
INSIDE = parse_proxies("10.0.0.0/8, fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "proxies", "found"),
    [
        (CLIENT, FORGED, Proxies(), CLIENT),
        (CLIENT, FORGED, INSIDE, CLIENT),
        (PROXY, "", INSIDE, PROXY),
        (PROXY, CLIENT, INSIDE, CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}", INSIDE, CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}, 10.9.9.9", INSIDE, CLIENT),
        ("fd00::1", f"{FORGED},2001:db8::5", INSIDE, "2001:db8::5"),
        (f"::ffff:{PROXY}", CLIENT, INSIDE, CLIENT),
        (PROXY, f"{CLIENT}:51234", INSIDE, CLIENT),
        (PROXY, "[2001:db8::5]:51234", INSIDE, "2001:db8::5"),
        (PROXY, f"{FORGED}, unknown", INSIDE, PROXY),
        (PROXY, f"{FORGED}, ", INSIDE, PROXY),
        (PROXY, f"{FORGED}, {CLIENT}", parse_proxies("1"), CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}, 192.0.2.1", parse_proxies("2"), CLIENT),
        (PROXY, CLIENT, parse_proxies("2"), CLIENT),
        (PROXY, CLIENT, parse_proxies("0"), PROXY),
        ("", CLIENT, INSIDE, ""),
    ],
)
def test_only_what_believed_proxies_wrote_counts(peer: str, forwarded: str, proxies: Proxies, found: str) -> None:
    assert client_address(peer, forwarded, proxies) == found


addresses = st.ip_addresses().map(str)
rubbish = st.one_of(addresses, st.sampled_from(["10.1.1.1", "unknown", "", ",", "::1"]), st.text(max_size=20))


@given(st.lists(rubbish, max_size=6), st.sampled_from([CLIENT, "2001:db8::77"]))
def test_nothing_that_a_client_sends_hides_its_address(sent: list[str], client: str) -> None:
    """The proxy appends the address that it sees; what stands before it is the client's own words."""
    header = ",".join([*sent, client])
    for trusted in (INSIDE, parse_proxies("1")):
        found = client_address(PROXY, header, trusted)
        assert ipaddress.ip_address(found) == ipaddress.ip_address(client)
    assert client_address(client, ",".join(sent), INSIDE) == client


@pytest.mark.parametrize("text", ["-1", "ten", "10.0.0.0/99", "1,2.3", "*"])
def test_what_cannot_be_read_names_the_variable(text: str) -> None:
    with pytest.raises(Permanent, match=r"DRIFTLINE_TRUSTED_PROXIES: .*number of proxies"):
        parse_proxies(text)


def _log_in(browser: FlaskClient, name: str, peer: str, forwarded: str) -> int:
    return browser.post(
        "/api/v1/session",
        json={"username": name, "password": PASSWORD},
        headers={"X-Forwarded-For": forwarded},
        environ_base={"REMOTE_ADDR": peer},
    ).status_code


@pytest.mark.covers("AUTH-03")
def test_behind_a_proxy_one_guesser_does_not_lock_the_others_out() -> None:
    browser = site(proxies=INSIDE).client()
    for number in range(20):
        assert _log_in(browser, f"user{number}", PROXY, f"{FORGED}, {CLIENT}") == 401
    assert _log_in(browser, "ada", PROXY, f"{FORGED}, {CLIENT}") == 401
    assert _log_in(browser, "ada", PROXY, "192.0.2.80") == 200


@pytest.mark.covers("AUTH-03")
def test_without_a_trusted_proxy_the_header_means_nothing() -> None:
    browser = site().client()
    for number in range(20):
        assert _log_in(browser, f"user{number}", CLIENT, f"192.0.2.{number}") == 401
    assert _log_in(browser, "ada", CLIENT, "192.0.2.99") == 401
