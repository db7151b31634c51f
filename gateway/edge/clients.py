"""Who asks: the address behind trusted proxies, and the network prefix that stands for a place."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from shared.errors import Misconfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: Prefix lengths of a place: what one household or one mobile cell shares.
V4_PREFIX, V6_PREFIX = 24, 48


def networks(text: str) -> tuple[Network, ...]:
    """The networks of a comma-separated setting. Raises Misconfigured."""
    try:
        return tuple(ipaddress.ip_network(part.strip()) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(f"USHER_TRUSTED_PROXIES is {text!r}: {error}. It is: networks, comma-separated.") from error


def address_of(peer: str, forwarded: Iterable[str], trusted: tuple[Network, ...]) -> str:
    """The client's address: the last hop of X-Forwarded-For that is not a trusted proxy; the peer's own otherwise."""
    if not trusted or not _is_in(peer, trusted):
        return peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops):
        if _parsed(hop) is None:
            return peer
        if not _is_in(hop, trusted):
            return hop
        peer = hop
    return peer


def place_of(address: str) -> str:
    """The prefix an address lies in (/24, /48), as text; empty where it is no address."""
    parsed = _parsed(address)
    if parsed is None:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    length = V4_PREFIX if parsed.version == 4 else V6_PREFIX
    return str(ipaddress.ip_network((parsed, length), strict=False))


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _is_in(address: str, among: tuple[Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in among)
