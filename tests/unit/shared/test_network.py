"""X-Forwarded-For counts only behind a trusted proxy, and a place is a prefix."""

from __future__ import annotations

import pytest

from shared.errors import Misconfigured
from shared.network import address_of, client_address, parse_networks, place_of

TRUSTED = parse_networks("10.0.0.0/8, fd00::/8")


def scope(peer: str, *forwarded: str) -> dict[str, object]:
    return {"client": (peer, 1), "headers": [(b"x-forwarded-for", hop.encode()) for hop in forwarded]}


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
        ("10.0.0.1", ("198.51.100.1",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6, 198.51.100.1, 10.9.9.9",), "198.51.100.1"),
        ("10.0.0.1", ("6.6.6.6", "198.51.100.1"), "198.51.100.1"),
        ("10.0.0.1", ("198.51.100.1, nonsense",), "10.0.0.1"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("fd00::1", ("2001:db8::7",), "2001:db8::7"),
    ],
)
def test_client_is_the_last_hop_no_proxy_of_ours_wrote(peer: str, forwarded: tuple[str, ...], expected: str) -> None:
    assert client_address(scope(peer, *forwarded), TRUSTED) == expected


def test_nobody_is_trusted_by_default() -> None:
    assert client_address(scope("10.0.0.1", "198.51.100.1"), parse_networks("")) == "10.0.0.1"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("?", ""),
        ("", ""),
    ],
)
def test_place_is_a_prefix(address: str, place: str) -> None:
    assert place_of(address) == place


def test_bad_network_stops_the_start_with_words() -> None:
    with pytest.raises(Misconfigured, match="USHER_TRUSTED_PROXIES"):
        parse_networks("10.0.0.0/99")


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
    assert address_of(peer, forwarded, parse_networks("10.0.0.0/8, 2001:db8::/32")) == address
