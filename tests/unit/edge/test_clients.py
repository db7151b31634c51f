"""Addresses behind proxies."""

from __future__ import annotations

import pytest

from gateway.edge.clients import address_of, networks
from shared.errors import Misconfigured

TRUSTED = networks("10.0.0.0/8, 2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5", "198.51.100.7, 10.0.0.9"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        ("10.0.0.1", ["evil, 10.0.0.3"], "10.0.0.3"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("2001:db8::1", ["2001:db9::7"], "2001:db9::7"),
        ("", ["198.51.100.7"], ""),
    ],
)
def test_only_trusted_proxies_say_who_asks(peer: str, forwarded: list[str], address: str) -> None:
    assert address_of(peer, forwarded, TRUSTED) == address


def test_nobody_is_trusted_by_default() -> None:
    assert address_of("10.0.0.1", ["198.51.100.7"], networks("")) == "10.0.0.1"


def test_a_network_that_is_none_stops_the_start() -> None:
    with pytest.raises(Misconfigured, match="USHER_TRUSTED_PROXIES"):
        networks("10.0.0.0/8, everybody")
