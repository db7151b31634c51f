"""Who asks: the address behind trusted proxies."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from shared.errors import Misconfigured

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


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


def _parsed(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(address)
    except ValueError:
        return None


def _is_in(address: str, among: tuple[Network, ...]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in among)
