"""The locust file: viewers, sharers, cap fighters and leavers. `locust -f benchmarks/locust/players.py --links F`.

locust patches the standard library when it is imported, `time.sleep` too, so nothing else may import this module.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
from locust import FastHttpUser, constant, events, task
from locust.env import Environment
from locust.exception import StopUser

from benchmarks.locust import links, player
from benchmarks.locust.links import Links
from benchmarks.locust.player import Buffer, Media, Multivariant, Throughput
from benchmarks.locust.thresholds import Result, Timing

#: A viewer's line, in bits a second; it becomes another one now and then.
LINES = (700_000, 1_500_000, 3_000_000, 8_000_000)
LINE_HOLDS_S, SEEK_EACH_S, GOOD_S = (15.0, 40.0), 45.0, 15.0
#: After this long at a new line its throughput is what the player goes by.
LEARNT_S = 20.0
#: Seconds after which a shared link must be dead: the threshold is met in the first few.
SHARED_DEADLINE_S = 30.0
SEAT_FREE_S = 10.0

_seen: Counter[str] = Counter()
_errors: Counter[str] = Counter()
_given: Counter[str] = Counter()
_links = Links(viewers=[], leavers=[])


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def options(parser: Any) -> None:
    """What this file wants besides locust's own options."""
    parser.add_argument("--links", default="", help="JSON file of the links to play")
    parser.add_argument("--result", default="", help="JSON file to write what was seen into")


@events.init.add_listener  # type: ignore[untyped-decorator]
def read_links(environment: Environment, **_: Any) -> None:
    """Read the links once; kinds of users without any are left out."""
    global _links
    _links = msgspec.json.decode(Path(option(environment, "links")).read_bytes(), type=Links)
    for kind, given in ((Sharer, _links.sharers), (CapFighter, _links.fights)):
        if not given:
            kind.fixed_count = 0
            environment.user_classes = [one for one in environment.user_classes if one is not kind]


def option(environment: Environment, name: str) -> str:
    """One of the options above."""
    return str(getattr(environment.parsed_options, name))


def take(kind: str, of: list[Any]) -> Any:
    """The next link of a kind that nobody has played yet. Raises StopUser when there is none left."""
    place = _given[kind]
    if place >= len(of):
        raise StopUser
    _given[kind] += 1
    return of[place]


class Player(FastHttpUser):
    """What all have in common: an address of their own, requests told by kind."""

    abstract = True
    wait_time = constant(0)
    connection_timeout, network_timeout = 10.0, 10.0

    def __init__(self, environment: Environment) -> None:
        super().__init__(environment)
        number = _given["addresses"] = _given["addresses"] + 1
        self.address = address(number)

    def fetch(self, url: str, kind: str, *, wanted: tuple[int, ...] = (200,), address: str = "") -> tuple[int, bytes]:
        """GET; another status than `wanted`, or a body shorter than it says, is a failure. Raises Lost for that."""
        headers = {"X-Forwarded-For": address or self.address, "Accept-Encoding": "identity"}
        with self.client.get(url, name=kind, headers=headers, catch_response=True) as answer:
            body = answer.content or b""
            stated = int((answer.headers or {}).get("content-length", len(body)))
            if answer.status_code not in wanted or stated != len(body):
                said = f"{kind}: {answer.status_code} {body[:200].decode(errors='replace')} {answer.error or ''}"
                _errors[said.strip()] += 1
                answer.failure(said)
                raise Lost(kind)
            answer.success()
            _seen["bytes"] += len(body)
            return answer.status_code, body

    def end(self, link: str) -> None:
        """Tell the edge that the page closed; nginx knows no such thing."""
        token = link.split("/")[2]
        if link.startswith("/t/"):
            self.client.post(f"/t/{token}/end", name="end", headers={"X-Forwarded-For": self.address})

    def tell(self, name: str, since: float, *, fault: str = "") -> None:
        """A wait that is no request, in the same report."""
        self.environment.events.request.fire(
            request_type="PLAYER",
            name=name,
            response_time=(time.perf_counter() - since) * 1000,
            response_length=0,
            exception=RuntimeError(fault) if fault else None,
            context={},
        )


class Lost(Exception):
    """A request failed; it was counted already."""


def address(number: int) -> str:
    """An address in a network (/24) of its own."""
    return f"100.{64 + number // 256 % 64}.{number % 256}.7"


class Viewer(Player):
    """Plays as a browser does: buffer in real time, rung by throughput, seeks, changes of the line."""

    @task
    def watch(self) -> None:
        """One film, or as much of it as there is time for."""
        self.link = take("viewers", _links.viewers)
        self.buffer, self.throughput = Buffer(), Throughput()
        self.listed: dict[str, Media] = {}
        self.since, self.waits_for = time.perf_counter(), "startup"
        self.seek_at = self.since + random.expovariate(1 / SEEK_EACH_S)
        self.draw_line()
        with contextlib.suppress(Lost):
            self.play()

    def on_stop(self) -> None:
        """The page closes."""
        if link := getattr(self, "link", ""):
            self.end(link)

    def draw_line(self) -> None:
        """Another line from now on. Where it is slower no seek follows until the player can know: it would run dry
        without the server's doing."""
        now, before = time.perf_counter(), getattr(self, "line", 0)
        self.line = random.choice(LINES)
        self.line_until = now + random.uniform(*LINE_HOLDS_S)
        if self.line < before:
            self.seek_at = max(self.seek_at, now + LEARNT_S)

    def play(self) -> None:
        """From the first playlist to the last segment."""
        shown = player.multivariant(self.text(self.link), self.link)
        rung = index = 0
        while index < len((listed := self.playlist(shown.rungs[rung].url)).segments):
            url, seconds = listed.segments[index]
            self.pause(self.buffer.wait_s(seconds, time.perf_counter()))
            self.segment(url)
            if shown.sound:
                self.segment(self.playlist(shown.sound).segments[index][0])
            self.buffered(seconds)
            rung, index = self.next_rung(shown, rung), index + 1
            if not self.waits_for and time.perf_counter() > self.seek_at:
                index = self.seek(len(listed.segments))

    def playlist(self, url: str) -> Media:
        """A media playlist; when it is first played it is fetched, with the init segment it names."""
        if url not in self.listed:
            self.listed[url] = player.media(self.text(url), url)
            if self.listed[url].init:
                self.fetch(self.listed[url].init, "init")
        return self.listed[url]

    def buffered(self, seconds: float) -> None:
        """A segment is there with its sound: the picture may start by it, or have stalled before it came."""
        stalls, now = self.buffer.stalls, time.perf_counter()
        if self.buffer.add(seconds, now) and self.waits_for:
            _seen["started" if self.waits_for == "startup" else "seeks"] += 1
            self.tell(self.waits_for, self.since)
            self.waits_for = ""
        if self.buffer.stalls > stalls:
            _seen["stalls"] += 1
            self.tell("stall", now, fault="the buffer ran dry")

    def text(self, url: str) -> str:
        """A playlist."""
        return self.fetch(url, "playlist")[1].decode()

    def segment(self, url: str) -> None:
        """Fetch one segment as fast as the viewer's line lets it through.

        A line changes only under a good buffer, so that what runs dry was waiting for the server.
        """
        if time.perf_counter() > self.line_until and self.buffer.level_s > GOOD_S:
            self.draw_line()
        since = time.perf_counter()
        size = len(self.fetch(url, "segment")[1])
        self.pause(8 * size / self.line - (time.perf_counter() - since))
        self.throughput.note(size, time.perf_counter() - since)

    def next_rung(self, shown: Multivariant, rung: int) -> int:
        """The rung for the next segment."""
        chosen = player.choose(shown.rungs, self.throughput.bits_per_s())
        _seen["switches"] += chosen != rung
        return chosen

    def seek(self, segments: int) -> int:
        """Jump; the place to go on from."""
        self.since, self.waits_for = time.perf_counter(), "seek"
        self.buffer.seek(self.since)
        self.seek_at = self.since + random.expovariate(1 / SEEK_EACH_S)
        return random.randrange(max(1, segments - 10))

    def pause(self, seconds: float) -> None:
        """Wait, if there is anything to wait for, for what is not the server's."""
        if seconds > 0:
            time.sleep(seconds)
            self.since += seconds


class Sharer(Player):
    """One link in four hands at once: it must die."""

    fixed_count = links.SHARERS

    @task
    def share(self) -> None:
        """All hands fetch the same segments until one is refused."""
        link = take("sharers", _links.sharers)
        hands = [address(30_000 + 4 * _given["sharers"] + hand) for hand in range(4)]
        since = time.perf_counter()
        try:
            shown = player.multivariant(self.fetch(link, "playlist", address=hands[0])[1].decode(), link)
            url = shown.rungs[0].url
            listed = player.media(self.fetch(url, "playlist", address=hands[0])[1].decode(), url)
            for segment, _ in listed.segments:
                if self.any_refused(segment, hands):
                    _seen["refused_sharers"] += 1
                    self.tell("shared link refused", since)
                    break
                if time.perf_counter() - since > SHARED_DEADLINE_S:
                    _errors["a shared link plays on"] += 1
                    self.tell("shared link refused", since, fault="it plays on")
                    break
                time.sleep(0.5)
        except Lost:
            pass
        time.sleep(15)

    def any_refused(self, segment: str, hands: list[str]) -> bool:
        """One segment into all hands; whether one went empty."""
        return any(self.fetch(segment, "shared segment", wanted=(200, 410), address=hand)[0] == 410 for hand in hands)


class CapFighter(Player):
    """Three screens on a right for two: the third waits until one is closed."""

    fixed_count = links.FIGHTERS

    @task
    def fight(self) -> None:
        """Two play, the third is refused; one ends, the third plays."""
        first, second, third = take("fights", _links.fights)
        try:
            for link in (first, second):
                self.fetch(link, "screen within the cap")
            self.fetch(third, "screen over the cap", wanted=(409,))
            _seen["refused_fighters"] += 1
            self.end(first)
            since = time.perf_counter()
            while self.fetch(third, "screen after another", wanted=(200, 409))[0] == 409:
                if time.perf_counter() - since > SEAT_FREE_S:
                    _errors["a seat is not free after its end"] += 1
                    self.tell("seat is free", since, fault="it is not")
                    return
                time.sleep(0.5)
            self.tell("seat is free", since)
            self.end(second)
            self.end(third)
        except Lost:
            pass
        time.sleep(5)


class Leaver(Player):
    """Closes the connection in the middle of a body, and then the page."""

    fixed_count = links.LEAVERS

    @task
    def leave(self) -> None:
        """The first segment of the best rung, a few kilobytes of it."""
        link = take("leavers", _links.leavers)
        try:
            shown = player.multivariant(self.fetch(link, "playlist")[1].decode(), link)
            url = shown.rungs[-1].url
            listed = player.media(self.fetch(url, "playlist")[1].decode(), url)
        except Lost:
            return
        self.cut_off(random.choice(listed.segments)[0])
        self.end(link)
        time.sleep(random.uniform(3, 6))

    def cut_off(self, path: str) -> None:
        """Ask, read a little, and go."""
        at = urlsplit(self.host or "")
        since = time.perf_counter()
        with socket.create_connection((at.hostname, at.port), timeout=10) as line:
            line.sendall(
                f"GET {path} HTTP/1.1\r\nHost: {at.netloc}\r\nX-Forwarded-For: {self.address}\r\n\r\n".encode()
            )
            got = line.recv(16_384)
        fault = "" if got.startswith(b"HTTP/1.1 200") else f"cut off: {got[:40]!r}"
        if fault:
            _errors[fault] += 1
        self.tell("cut off", since, fault=fault)


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def write_result(environment: Environment, **_: Any) -> None:
    """Leave what was seen for who started this."""
    if target := option(environment, "result"):
        Path(target).write_bytes(msgspec.json.encode(result(environment)))


def result(environment: Environment) -> Result:
    """What all players saw."""

    def percentile(entry: Any, share: float) -> float:
        return float(entry.get_response_time_percentile(share) or 0)

    return Result(
        players=_given["viewers"],
        started=_seen["started"],
        stalls=_seen["stalls"],
        seeks=_seen["seeks"],
        switches=_seen["switches"],
        bytes=_seen["bytes"],
        timings=[
            Timing(
                name,
                entry.num_requests,
                entry.num_failures,
                percentile(entry, 0.5),
                percentile(entry, 0.95),
                percentile(entry, 0.99),
            )
            for (name, _), entry in sorted(environment.stats.entries.items())
        ],
        errors=[f"{count} x {words}" for words, count in _errors.most_common(10)],
        refused_sharers=_seen["refused_sharers"],
        refused_fighters=_seen["refused_fighters"],
    )
