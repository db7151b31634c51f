"""Places: the network prefix, and where it can be known the country, that a request comes from."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

import msgspec

from shared.errors import Misconfigured
from shared.network import address_of, parse_networks, place_of
from shared.settings import EdgeSettings

#: Places remembered by address; then all are forgotten at once, which costs a lookup each.
REMEMBERED: Final = 65_536
#: ISO 3166-1 alpha-2. XX and T1 are what CDNs say for unknown and Tor.
_COUNTRY = re.compile(r"[A-Z]{2}\Z")
_NOWHERE: Final = ("XX", "ZZ")
Key = TypeVar("Key")


class Place(msgspec.Struct, frozen=True):
    """Where a request comes from: one household or mobile cell. `country` is empty where it is not known;
    `is_other_device` where the request showed another device than its token names."""

    prefix: str
    country: str = ""
    family: Literal[4, 6] = 4
    is_other_device: bool = False


class Countries(Protocol):
    """Knows the country of an address."""

    def of(self, address: str) -> str:
        """ISO 3166-1 alpha-2, or "" where it is not known."""


class Places:
    """The place of each request. `client` is the connection's own address; a proxy that is not trusted is a client."""

    def __init__(self, settings: EdgeSettings, countries: Countries | None = None) -> None:
        self._trusted = parse_networks(settings.trusted_proxies)
        self._countries = countries or countries_of(settings)
        self._reads_header = bool(settings.country_header)
        self._direct: dict[str, Place] = {}
        self._forwarded: dict[tuple[str, str, str], Place] = {}
        self._known: dict[tuple[str, str], Place] = {}
        self._on_others: dict[Place, Place] = {}

    def of(self, client: str, forwarded: Sequence[str], country: str = "") -> Place:
        """The place behind the trusted proxies; `country` is what their header said. The same object for the same
        place, as long as it is remembered."""
        if not self._trusted:
            return self._direct.get(client) or self._remember(self._direct, client, self._look(client, ""))
        key = (client, ",".join(forwarded), country)
        found = self._forwarded.get(key)
        if found is not None:
            return found
        is_proxy = any(_parsed(client) in network for network in self._trusted)
        address = address_of(client, forwarded, self._trusted)
        said = country.strip().upper() if is_proxy and self._reads_header else ""
        return self._remember(self._forwarded, key, self._look(address, said if _COUNTRY.match(said) else ""))

    def address(self, client: str, forwarded: Sequence[str]) -> str:
        """The address behind the trusted proxies, for what is counted per address."""
        return address_of(client, forwarded, self._trusted)

    def on_other_device(self, place: Place) -> Place:
        """The same place, seen on another device than a token names. The same object each time, too."""
        other = self._on_others.get(place)
        return other or self._remember(self._on_others, place, msgspec.structs.replace(place, is_other_device=True))

    def _look(self, address: str, country: str) -> Place:
        prefix = place_of(address)
        if not country and self._countries is not None and prefix:
            country = self._countries.of(address)
        country = "" if country in _NOWHERE else country
        place = Place(prefix, country, 6 if ":" in prefix else 4)
        return self._known.get((prefix, country)) or self._remember(self._known, (prefix, country), place)

    @staticmethod
    def _remember(held: dict[Key, Place], key: Key, place: Place) -> Place:
        if len(held) >= REMEMBERED:
            held.clear()
        held[key] = place
        return place


def countries_of(settings: EdgeSettings) -> Countries | None:
    """What the settings name to know countries by; None: nothing. Raises Misconfigured."""
    if not settings.geoip_file:
        return None
    try:
        return GeoFile(Path(settings.geoip_file).read_text(encoding="utf-8").splitlines())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"USHER_GEOIP_FILE is {settings.geoip_file!r}: {error}.") from error


class GeoFile:
    """Countries from lines `network,country` (CIDR, ISO 3166-1 alpha-2), sorted and found by bisection.

    A network within another wins over it. IPv6 networks longer than /64 are not told apart. Lines that are empty or
    begin with # are skipped, and so is a heading. Raises ValueError for any other line it cannot read.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self._starts = {4: array("Q"), 6: array("Q")}
        self._countries: dict[int, list[str]] = {4: [], 6: []}
        for family, ranges in _ranges(lines).items():
            self._lay(family, sorted(ranges, key=lambda one: (one[0], -one[1])))

    def of(self, address: str) -> str:
        """The country of the narrowest network that holds the address."""
        parsed = _parsed(address)
        if isinstance(parsed, IPv6Address):
            if parsed.ipv4_mapped is None:
                return self._at(6, int(parsed) >> 64)
            parsed = parsed.ipv4_mapped
        return self._at(4, int(parsed)) if parsed is not None else ""

    def _at(self, family: int, number: int) -> str:
        index = bisect_right(self._starts[family], number) - 1
        return self._countries[family][index] if index >= 0 else ""

    def _lay(self, family: int, ranges: list[tuple[int, int, str]]) -> None:
        """Cut networks within networks into a row of starts, each of which holds up to the next."""
        around: list[tuple[int, str]] = []
        for first, last, country in ranges:
            while around and around[-1][0] < first:
                self._close(family, around)
            self._mark(family, first, country)
            around.append((last, country))
        while around:
            self._close(family, around)

    def _close(self, family: int, around: list[tuple[int, str]]) -> None:
        last, _ = around.pop()
        while around and around[-1][0] <= last:
            last, _ = around.pop()
        self._mark(family, last + 1, around[-1][1] if around else "")

    def _mark(self, family: int, start: int, country: str) -> None:
        starts, countries = self._starts[family], self._countries[family]
        if starts and starts[-1] == start:
            countries[-1] = country
        elif start < 1 << 64:
            starts.append(start)
            countries.append(country)


def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(address)
    except ValueError:
        return None


def _ranges(lines: Iterable[str]) -> dict[int, list[tuple[int, int, str]]]:
    found: dict[int, list[tuple[int, int, str]]] = {4: [], 6: []}
    for number, line in enumerate(lines, 1):
        network, _, country = (part.strip().strip('"') for part in line.partition(","))
        if not network or network.startswith("#") or (number == 1 and "/" not in network):
            continue
        if not _COUNTRY.match(country):
            raise ValueError(f"line {number} names no country of two letters")
        parsed = ip_network(network, strict=False)
        shift = 64 if parsed.version == 6 else 0
        first, last = int(parsed.network_address) >> shift, int(parsed.broadcast_address) >> shift
        found[parsed.version].append((first, last, country))
    return found
