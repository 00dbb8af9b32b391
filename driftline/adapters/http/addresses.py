"""Which addresses may be reached. A name is resolved once, and every address that it has is judged."""

import ipaddress
import socket
from typing import Any

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_TUNNELS = tuple(ipaddress.ip_network(text) for text in ("64:ff9b:1::/48", "2002::/16", "2001::/32", "::/96"))
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16")
)
"""Where clouds tell a machine its credentials, beside the link-local 169.254.169.254."""


class Refused(Exception):
    """The name leads to an address that may not be reached."""


def checked_addresses(host: str, port: int, allow_private: bool) -> list[str]:
    """The addresses of a host, all of them allowed. Raises Refused naming the first that is not, or OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        if not allowed(text, allow_private):
            raise Refused(text)
    return addresses


def allowed(text: str, allow_private: bool) -> bool:
    """Whether this IP address may be reached. What wraps an IPv4 address is judged by it, or refused.

    `allow_private` opens private and loopback addresses, never link-local ones and others that hold a cloud's metadata.
    """
    address: Any = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        wrapped = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
        address = address.ipv4_mapped or wrapped or address
    if address in _METADATA or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    if address.version == 6 and not address.is_loopback:
        if any(address in tunnel for tunnel in _TUNNELS):
            return False
        if address.is_site_local:
            return allow_private
    return allow_private or (address.is_global and not address.is_reserved)
