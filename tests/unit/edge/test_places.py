"""Places: prefix, family and country of a request, and whose word counts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.edge import places
from gateway.edge.places import GeoFile, Place, Places
from shared.errors import Misconfigured
from shared.settings import EdgeSettings


def known(**settings: Any) -> Places:
    return Places(EdgeSettings(**settings))


BEHIND = {"trusted_proxies": "10.0.0.0/8", "country_header": "CF-IPCountry"}


def test_a_place_is_a_prefix_and_its_family() -> None:
    one = known()
    assert one.of("192.0.2.77", []) == Place("192.0.2.0/24", "", 4)
    assert one.of("2001:db8:1:2::3", []) == Place("2001:db8:1::/48", "", 6)
    assert one.of("::ffff:192.0.2.9", []) == Place("192.0.2.0/24", "", 4)
    assert one.of("", []) == Place("", "", 4)


def test_the_same_place_is_the_same_object() -> None:
    one = known(**BEHIND)
    assert one.of("192.0.2.1", []) is one.of("192.0.2.2", []) is one.of("10.0.0.1", ["192.0.2.3"])
    assert known().of("192.0.2.1", []) is not None


def test_the_country_of_a_header_counts_only_from_a_trusted_proxy() -> None:
    one = known(**BEHIND)
    assert one.of("10.0.0.1", ["192.0.2.1"], "fr ").country == "FR"
    assert one.of("10.0.0.1", ["192.0.2.1"], "DE").country == "DE"
    assert one.of("192.0.2.1", [], "FR").country == ""
    assert known(country_header="CF-IPCountry").of("10.0.0.1", [], "FR").country == ""
    assert known(trusted_proxies="10.0.0.0/8").of("10.0.0.1", ["192.0.2.1"], "FR").country == ""


@pytest.mark.parametrize("said", ["XX", "T1", "", "FRA", "F", "<b>", "é"])
def test_a_country_that_is_none_is_not_known(said: str) -> None:
    assert known(**BEHIND).of("10.0.0.1", ["192.0.2.1"], said).country == ""


def test_who_forwards_is_not_believed_unless_trusted() -> None:
    assert known().of("192.0.2.1", ["198.51.100.1"]).prefix == "192.0.2.0/24"
    assert known(**BEHIND).of("10.0.0.1", ["198.51.100.1, 10.0.0.7"]).prefix == "198.51.100.0/24"


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "REMEMBERED", 10)
    for one in (known(), known(**BEHIND)):
        for number in range(100):
            assert one.of(f"192.0.{number}.1", [str(number)]).prefix == f"192.0.{number}.0/24"
        assert max(len(held) for held in (one._direct, one._forwarded, one._known)) <= 10


LINES = """network,country
# a network within another wins
192.0.0.0/16,FR
192.0.2.0/24,DE
192.0.2.128/25,"US"
198.51.100.0/24,JP
198.51.100.0/26,CN
198.51.100.0/25,KR

2001:db8::/32,IT
2001:db8:5::/48,ES
255.255.255.0/24,AQ
"""


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("192.0.1.1", "FR"),
        ("192.0.2.1", "DE"),
        ("192.0.2.200", "US"),
        ("192.0.3.0", "FR"),
        ("192.0.255.255", "FR"),
        ("192.1.0.0", ""),
        ("191.255.255.255", ""),
        ("1.1.1.1", ""),
        ("198.51.100.255", "JP"),
        ("198.51.100.63", "CN"),
        ("198.51.100.64", "KR"),
        ("255.255.255.255", "AQ"),
        ("::ffff:192.0.2.1", "DE"),
        ("2001:db8:4::1", "IT"),
        ("2001:db8:5:ffff::1", "ES"),
        ("2001:db8:6::", "IT"),
        ("2001:db9::", ""),
        ("nonsense", ""),
    ],
)
def test_a_file_of_networks_knows_countries(address: str, country: str) -> None:
    assert GeoFile(LINES.splitlines()).of(address) == country


def test_the_order_of_lines_does_not_matter() -> None:
    lines = [line for line in LINES.splitlines()[2:] if line]
    one, other = GeoFile(lines), GeoFile(reversed(lines))
    for third in range(0, 256, 3):
        for address in (f"192.0.{third}.130", f"198.51.100.{third}"):
            assert one.of(address) == other.of(address)


def test_the_file_is_named_by_a_setting(tmp_path: Path) -> None:
    (tmp_path / "geo.csv").write_text(LINES)
    one = known(geoip_file=str(tmp_path / "geo.csv"), **BEHIND)
    assert one.of("192.0.2.1", []).country == "DE"
    assert one.of("10.0.0.1", ["192.0.2.1"], "FR").country == "FR"


@pytest.mark.parametrize("line", ["192.0.2.0/24,Germany", "192.0.2.0/24", "192.0.2.0/33,DE", "hello,DE"])
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, line: str) -> None:
    (tmp_path / "geo.csv").write_text(f"# networks\n{line}\n")
    with pytest.raises(Misconfigured, match="USHER_GEOIP_FILE"):
        known(geoip_file=str(tmp_path / "geo.csv"))
    with pytest.raises(Misconfigured, match="USHER_GEOIP_FILE"):
        known(geoip_file=str(tmp_path / "nothing.csv"))


def test_another_device_is_the_same_place_and_another_object() -> None:
    places = Places(EdgeSettings())
    here = places.of("192.0.2.1", ())
    other = places.on_other_device(here)
    assert (other.prefix, other.country, other.family) == (here.prefix, here.country, here.family)
    assert other.is_other_device and not here.is_other_device
    assert places.on_other_device(here) is other
