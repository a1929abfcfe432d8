"""Which hosts a plugin may reach, and at which addresses. Decided by our proxy, outside the worker, after it resolved the name.

An entry is `host`, `host:port`, `*.domain`, an address or a network in CIDR form, each with an optional port; without one it
stands for 80 and 443. A name may resolve to public addresses only: loopback, link-local, private and other special ones are
reached when an entry lists the address itself or its network.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

WEB_PORTS: Final = frozenset((80, 443))
_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
# Addresses that carry another address inside: what they lead to is judged, not what they look like (RFC 6052, 3056, 4380).
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Entry:
    ports: frozenset[int]
    # One of both.
    name: str | None = None
    network: Network | None = None


class Allowlist:
    """Raises ValueError for an entry that is none."""

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = [_entry(text.strip().lower()) for text in entries]

    def names(self, host: str, port: int) -> bool:
        """Whether an entry lets this name, or an address that stands in its place, be asked for at all."""
        address = literal(host)
        if address is not None:
            return self.lists(address, port)
        name = host.lower().rstrip(".")
        # The resolver ends at a NUL: `evil.example\0.listed.example` fits `*.listed.example` and leads to evil.example.
        return _NAME.fullmatch(name) is not None and any(entry.name is not None and port in entry.ports and _matches(entry.name, name) for entry in self._entries)

    def lists(self, address: Address, port: int) -> bool:
        """Whether an entry lists the address itself."""
        return any(
            entry.network is not None and port in entry.ports and address in entry.network for entry in self._entries
        )

    def reaches(self, address: Address, port: int) -> bool:
        """Whether a name that may be asked for may lead to this address."""
        return self.lists(address, port) or is_public(address)


def literal(host: str) -> Address | None:
    """The address that `host` is, or None for a name."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None
    return _inside(address)


def is_public(address: Address) -> bool:
    """Globally reachable unicast; special-purpose ranges of RFC 6890 and addresses that lead into them are not."""
    inside = _inside(address)
    if isinstance(inside, ipaddress.IPv6Address) and inside.is_site_local:
        return False
    return inside.is_global and not inside.is_multicast and not inside.is_reserved


def _inside(address: Address) -> Address:
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _matches(pattern: str, name: str) -> bool:
    # A wildcard stands for one or more labels, never for none.
    return name.endswith(pattern[1:]) if pattern.startswith("*.") else name == pattern


def _entry(text: str) -> Entry:
    host, ports = _split(text)
    try:
        return Entry(ports, network=ipaddress.ip_network(host.replace("[", "").replace("]", ""), strict=False))
    except ValueError:
        if len(host) > 253 or _NAME.fullmatch(host) is None or re.fullmatch(r"[0-9.]+", host) is not None:
            raise ValueError(f"{text!r} is no host, host:port, *.domain, address or network") from None
        return Entry(ports, name=host)


def _split(text: str) -> tuple[str, frozenset[int]]:
    match = re.fullmatch(r"(\[[^\]]+\](?:/\d+)?|[^:\[\]]+):(\d{1,5})", text)
    if match is None:
        return text, WEB_PORTS
    port = int(match[2])
    if not 1 <= port <= 65_535:
        raise ValueError(f"{text!r} has no port from 1 to 65535")
    return match[1], frozenset((port,))
