"""What players fetch, as (tick, place, rendition, index): honest ones of many kinds, and several at one link."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from random import Random
from typing import Any, Final

import msgspec

from gateway.edge.places import Place
from gateway.edge.reports import Report
from gateway.edge.sharing import Evidence, Finding
from gateway.edge.thresholds import Limits, limits_of
from shared.settings import EdgeSettings

SEGMENT_S: Final = 4
#: Honest runs of the short form.
HONEST_RUNS: Final = 1000
#: Seconds of each that are looked at.
HONEST_S: Final = 1200.0
#: Seconds between two reports of an edge.
REPORT_S: Final = 4.0


def limits(**changes: Any) -> Limits:
    """The thresholds of an edge that was told nothing, with `changes`."""
    return msgspec.structs.replace(limits_of(EdgeSettings()), **changes)


class Fetch(msgspec.Struct, frozen=True):
    """One segment that is asked for. It is what Evidence calls a medium, too."""

    tick: float
    index: int
    is_sound: bool
    place: Place
    title: str = "ttl_a"
    version: str = "ver1"


def home(random: Random, *, country: str = "FR") -> tuple[Place, ...]:
    """The places of one network: IPv4, IPv6, or both."""
    four = Place(f"10.{random.randrange(256)}.{random.randrange(256)}.0/24", country, 4)
    six = Place(f"2001:db8:{random.randrange(65536):x}::/48", country, 6)
    return random.choice(((four,), (six,), (four, six)))


class Honest:
    """One person with one player: fetches ahead, seeks, changes rung, speed and network, pauses, reloads."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.length = random.randrange(100, 1500)
        self.ahead_s = random.choice((24, 60, 120, 600))
        self.kept = random.choice((8, 15, 2500))
        self.speed = random.choice((1.0, 1.0, 1.0, 1.25, 2.0))
        self.has_sound = random.random() < 0.8
        self.each_s = random.uniform(0.02, 0.4)
        self.places = home(random)
        self.tick = random.uniform(0, 100)
        self.at_s = 0.0
        self.held: set[int] = set()
        self.reloads = self.first = self.next = 0

    def run(self, limit_s: float = 3600.0) -> Iterator[Fetch]:
        """All that it fetches in order, up to the end of the title."""
        end = self.tick + limit_s
        happens = self.tick + self.random.uniform(20, 200)
        back_home = float("inf")
        usual = self.places
        while self.at_s < self.length * SEGMENT_S and self.tick < end:
            if self.tick >= back_home:
                self.places, back_home = usual, float("inf")
            if self.tick >= happens:
                happens = self.tick + self.random.uniform(60, 400)
                what = self.random.choice(("seek", "back", "rung", "network", "pause", "reload"))
                if what == "network":
                    self.places = home(self.random)
                    back_home = self.tick + self.random.choice((float("inf"), self.random.uniform(120, 900)))
                    yield from self._again(2)
                elif what == "rung":
                    yield from self._again(self.random.randrange(1, 8))
                else:
                    self._act(what)
            yield from self._step()

    def _act(self, what: str) -> None:
        if what == "seek":
            self._seek(self.at_s + self.random.uniform(10, 900))
        elif what == "back":
            self._seek(max(0.0, self.at_s - self.random.uniform(5, 300)))
        elif what == "pause":
            self.tick += self.random.uniform(5, 1200)
        elif self.reloads < 1:
            self.reloads += 1
            self.held, self.next = set(), 0

    def _seek(self, to_s: float) -> None:
        self.at_s, self.next = to_s, 0
        if self.ahead_s <= 120 and self.random.random() < 0.5:
            self.held.clear()

    def _again(self, count: int) -> Iterator[Fetch]:
        """What is held just ahead, once more."""
        first = int(self.at_s // SEGMENT_S) + 1
        for index in range(first, min(first + count, self.length)):
            yield from self._fetch(index)

    def _step(self) -> Iterator[Fetch]:
        """Fetch the next missing segment, or play for a while."""
        first = int(self.at_s // SEGMENT_S)
        if first != self.first:
            self.held.difference_update(range(self.first - self.kept, first - self.kept))
            self.first = first
        reach = min(self.length, first + self.ahead_s // SEGMENT_S)
        self.next = max(self.next, first)
        while self.next < reach and self.next in self.held:
            self.next += 1
        if self.next >= reach:
            self._play(SEGMENT_S / self.speed)
        else:
            yield from self._fetch(self.next)

    def _fetch(self, index: int) -> Iterator[Fetch]:
        for is_sound in (False, True)[: 1 + self.has_sound]:
            yield Fetch(self.tick, index, is_sound, self.random.choice(self.places))
            self._play(max(self.each_s, 0.1))
        self.held.add(index)

    def _play(self, seconds: float) -> None:
        self.tick += seconds
        self.at_s += seconds * self.speed


def flat_out(random: Random, *, start: float = 0.0, first: int = 0) -> Iterator[Fetch]:
    """An ffmpeg that copies the whole title, as fast as it may, with a few tries more."""
    tick, places = start, home(random)
    for index in range(first, random.randrange(200, 1500)):
        for is_sound in (False, True):
            for _ in range(1 + (random.random() < 0.02)):
                yield Fetch(tick, index, is_sound, random.choice(places))
                tick += 0.1


def viewer(place: Place, *, start: float, first: int = 0, count: int = 60, ahead: int = 5) -> Iterator[Fetch]:
    """One of several at one link: a few segments at once, then each as it is played, picture and sound."""
    for number in range(count):
        tick = start + (number * 0.2 if number < ahead else (number - ahead + 1) * SEGMENT_S)
        yield Fetch(tick, first + number, False, place)
        yield Fetch(tick + 0.05, first + number, True, place)


def together(*runs: Iterable[Fetch]) -> Iterator[Fetch]:
    """Several runs in the order of time."""
    return heapq.merge(*runs, key=lambda fetch: fetch.tick)


def judged(fetches: Iterable[Fetch], limits: Limits, *, binding: str = "off") -> tuple[float, Finding] | None:
    """When one edge finds a session to be shared, and why; None: never."""
    evidence = Evidence(limits, binding=binding)
    for fetch in fetches:
        if evidence.fetched(fetch, fetch.place, fetch.tick) and (finding := evidence.judge(fetch.tick)):
            return fetch.tick, finding
    return None


def judged_by_edges(
    fetches: Iterable[Fetch], limits: Limits, *, edges: int, random: Random
) -> tuple[float, Finding] | None:
    """The same by several edges, to each of which a prefix goes, and which report to each other each REPORT_S."""
    seen = [Evidence(limits, binding="off") for _ in range(edges)]
    due = [random.uniform(0, REPORT_S) for _ in range(edges)]
    told: list[tuple[float, Report]] = []
    heard = [0] * edges
    for one in seen:
        one.compare()
    for fetch in fetches:
        for number, evidence in enumerate(seen):
            while due[number] <= fetch.tick:
                tick = due[number]
                due[number] += REPORT_S
                for at, report in told[heard[number] :]:
                    if report.edge != str(number):
                        evidence.hear(report, at)
                report_now = evidence.report(str(number), tick, with_past=not heard[number])
                if report_now is not None:
                    told.append((tick, report_now))
                    evidence.reported(report_now)
                heard[number] = len(told)
                if finding := evidence.judge(tick):
                    return tick, finding
        evidence = seen[sum(fetch.place.prefix.encode()) % edges]
        if evidence.fetched(fetch, fetch.place, fetch.tick) and (finding := evidence.judge(fetch.tick)):
            return fetch.tick, finding
    return None
