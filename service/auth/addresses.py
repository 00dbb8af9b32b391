"""Whose address a login comes from, where proxies stand in front of us. Pure; used by service.auth.guard.

Anybody can send an `X-Forwarded-For`. Each proxy appends the address of its own peer to it, so only the entries that
our own proxies have written can be believed: those are counted from the right, and no others are looked at.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from driftline.model.errors import Permanent

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True)
class Proxies:
    """Who is believed: proxies in these networks, or so many of them in a row before every request."""

    networks: tuple[Network, ...] = ()
    count: int = 0


NOBODY = Proxies()
"""No proxy is believed: a request's peer is its sender."""


def parse_proxies(text: str) -> Proxies:
    """Read `DRIFTLINE_TRUSTED_PROXIES`: a number, or networks and addresses with commas between. Raises Permanent."""
    words = [word for word in text.replace(",", " ").split() if word]
    if len(words) == 1 and words[0].isascii() and words[0].isdigit():
        return Proxies(count=int(words[0]))
    try:
        return Proxies(tuple(ipaddress.ip_network(word, strict=False) for word in words))
    except ValueError as error:
        raise Permanent(
            f"DRIFTLINE_TRUSTED_PROXIES: {error}; want networks such as 10.0.0.0/8,fd00::/8, or the number of proxies"
        ) from None


def client_address(peer: str, forwarded: str, proxies: Proxies) -> str:
    """The client's address: the peer's, unless the peer is a proxy that is believed and has named its own peer.

    `forwarded` is all of `X-Forwarded-For`. An entry that is no address ends the search: what a proxy that is
    believed could not say is counted as its own.
    """
    found = peer
    for step, entry in enumerate(_from_the_right(forwarded)):
        believed = step < proxies.count or _within(found, proxies.networks)
        address = _address(entry)
        if not believed or not address:
            break
        found = address
    return found


def _from_the_right(forwarded: str) -> Iterator[str]:
    """The entries, the last first."""
    while forwarded:
        forwarded, _, entry = forwarded.rpartition(",")
        yield entry.strip()


def _address(entry: str) -> str:
    """An entry without the port that some proxies write; empty if it is no address."""
    text = entry[1:].partition("]")[0] if entry.startswith("[") else entry
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))
    except ValueError:
        return ""


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in networks)
