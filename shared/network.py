"""Addresses: whose X-Forwarded-For counts, and the prefix that stands for a client's place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Any

from shared.errors import Misconfigured

Networks = tuple[IPv4Network | IPv6Network, ...]


def parse_networks(text: str, setting: str = "USHER_TRUSTED_PROXIES") -> Networks:
    """Comma-separated CIDR networks. Raises Misconfigured for what is none."""
    try:
        return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise Misconfigured(f"{setting} is {text!r}: {error}. Expected networks such as 10.0.0.0/8.") from error


def client_address(scope: Mapping[str, Any], trusted: Networks) -> str:
    """The client's address of an ASGI request."""
    peer = str((scope.get("client") or ("",))[0])
    forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return address_of(peer, forwarded, trusted)


def address_of(peer: str, forwarded: Iterable[str], trusted: Networks) -> str:
    """The last hop of X-Forwarded-For that is not a trusted proxy; the peer's own address otherwise."""
    if not trusted or not within(peer, trusted):
        return peer
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    for hop in reversed(hops):
        if not _is_address(hop):
            return peer
        if not within(hop, trusted):
            return hop
        peer = hop
    return peer


def place_of(address: str) -> str:
    """The prefix that stands for a place (/24, /48), what one household or mobile cell shares; "" for no address."""
    if not _is_address(address):
        return ""
    parsed = ip_address(address)
    if parsed.version == 6 and parsed.ipv4_mapped:
        parsed = parsed.ipv4_mapped
    return str(ip_network((parsed, 24 if parsed.version == 4 else 48), strict=False))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def within(address: str, networks: Networks) -> bool:
    """Whether an address lies in one of the networks."""
    return _is_address(address) and any(ip_address(address) in network for network in networks)


def is_loopback(host: str) -> bool:
    """Whether an address, or a name, is this machine's own."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
