"""What a run under load must hold, and the words for what it does not."""

from __future__ import annotations

import msgspec

#: Milliseconds that 95 of 100 requests of a kind, and starts of a picture, may take.
P95_MS = {"playlist": 400.0, "segment": 400.0, "startup": 1500.0}


class Timing(msgspec.Struct, frozen=True):
    """One kind of request, or of waiting: how many, how many failed, and how long they took."""

    name: str
    count: int
    failures: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What the players saw."""

    players: int
    started: int
    stalls: int
    seeks: int
    switches: int
    bytes: int
    timings: list[Timing]
    errors: list[str] = []
    refused_sharers: int = 0
    refused_fighters: int = 0


def broken(result: Result, *, players: int, refuses: bool) -> list[str]:
    """Every threshold that does not hold. `refuses`: whether sharers and third screens must be met with a refusal."""
    words = list(result.errors)
    if result.started < players:
        words.append(f"{result.started} of {players} players started")
    if result.stalls:
        words.append(f"{result.stalls} stalls after the start")
    for timing in result.timings:
        if timing.failures:
            words.append(f"{timing.name}: {timing.failures} of {timing.count} failed")
        limit = P95_MS.get(timing.name)
        if limit is not None and timing.p95_ms > limit:
            words.append(f"{timing.name}: p95 is {timing.p95_ms:.0f} ms, over {limit:.0f} ms")
    if refuses and not result.refused_sharers:
        words.append("no shared link was refused")
    if refuses and not result.refused_fighters:
        words.append("no screen over the cap was refused")
    return words
