"""Which addresses users of a cluster may send requests to (pure): not the pod, its link, or what describes its node."""

import ipaddress
from collections.abc import Collection, Iterator
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

METADATA: Final = frozenset(
    map(
        ipaddress.ip_address,
        (
            "100.100.100.200",  # Alibaba
            "168.63.129.16",  # Azure
            "192.0.0.192",  # Oracle
            "fd00:ec2::254",  # Amazon, like the next two
            "fd00:ec2::253",
            "fd00:ec2::123",
            "fd20:ce::254",  # Google
        ),
    )
)
"""Where providers tell a machine its secrets, apart from link-local addresses."""
BROADCAST: Final = ipaddress.IPv4Address("255.255.255.255")

_THIS_NETWORK: Final = ipaddress.IPv4Network("0.0.0.0/8")
_COMPATIBLE: Final = ipaddress.IPv6Network("::/96")
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_LOCAL_NAT64: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
_PREFIXES: Final = (48, 56, 64, 96)
"""Lengths of prefixes that a network may choose within the local one (RFC 8215)."""


def is_outward(text: str, own: Collection[str] = ()) -> bool:
    """Whether an address is somebody else's, however it is written. `own`: those of this pod."""
    return all(_is_outward(each, own) for each in _meant(ipaddress.ip_address(text)))


def anywhere(_: str) -> bool:
    """For who sends requests from a machine of their own."""
    return True


def _is_outward(address: Address, own: Collection[str]) -> bool:
    is_special = address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast
    is_broadcast = address == BROADCAST or (address.version == 4 and address in _THIS_NETWORK)
    return not (is_special or is_broadcast or address in METADATA or str(address) in own)


def _meant(address: Address) -> Iterator[Address]:
    """The address, and those of IPv4 that are written into it."""
    yield address
    if isinstance(address, ipaddress.IPv4Address):
        return
    yield from filter(None, (address.ipv4_mapped, address.sixtofour, *(address.teredo or ())))
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):
        yield _embedded(address, 96)
    if address in _LOCAL_NAT64:
        yield from (_embedded(address, length) for length in _PREFIXES)


def _embedded(address: ipaddress.IPv6Address, prefix_length: int) -> ipaddress.IPv4Address:
    """After a prefix of that length; the ninth byte is passed over (RFC 6052, 2.2)."""
    octets = address.packed if prefix_length == 96 else address.packed[:8] + address.packed[9:]
    return ipaddress.IPv4Address(octets[prefix_length // 8 :][:4])
