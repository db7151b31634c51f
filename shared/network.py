"""Addresses: whose X-Forwarded-For counts, and the prefix that stands for a client's place."""

from __future__ import annotations

from collections.abc import Mapping
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
    """The client's address: the peer's, or the last X-Forwarded-For entry that no trusted proxy wrote itself."""
    peer = (scope.get("client") or ("",))[0]
    if not trusted or not _within(peer, trusted):
        return str(peer)
    forwarded = b",".join(value for name, value in scope["headers"] if name == b"x-forwarded-for").decode("latin-1")
    for hop in reversed([part.strip() for part in forwarded.split(",") if part.strip()]):
        if not _is_address(hop):
            return str(peer)
        if not _within(hop, trusted):
            return hop
    return str(peer)


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


def _within(address: str, networks: Networks) -> bool:
    return _is_address(address) and any(ip_address(address) in network for network in networks)
