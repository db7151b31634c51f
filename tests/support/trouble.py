"""Trouble on the way to bucket and Redis, by name, and what players must find while it lasts and after."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from tests.support.edge import until
from tests.support.players import Fetched, Player, failed, linked, wrong
from tests.support.theatre import Theatre, address

#: A circuit breaker may keep the bucket out this long after it came back.
WELL_WITHIN_S = 30.0
SIZE = 300_000


class Trouble(msgspec.Struct, frozen=True):
    """Faults of a proxy, and whether every answer must be right all the same."""

    faults: dict[str, Any]
    is_bearable: bool = False


TO_THE_BUCKET = {
    "latency": Trouble({"latency_s": 0.2}, is_bearable=True),
    "bandwidth": Trouble({"bandwidth": 2_000_000}, is_bearable=True),
    "slow-close": Trouble({"slow_close_s": 2.0}, is_bearable=True),
    "refuse": Trouble({"refuse": True}),
    "blackhole": Trouble({"blackhole": True}),
    "reset-at-head": Trouble({"reset_after": 50}),
    "reset-in-body": Trouble({"reset_after": 150_000}),
    "truncate-at-head": Trouble({"truncate_after": 0}),
    "truncate-in-body": Trouble({"truncate_after": 100_000}),
    "truncate-before-end": Trouble({"truncate_after": SIZE}),
    "starved": Trouble({"bandwidth": 20_000}),
}
TO_REDIS = {
    "latency": Trouble({"latency_s": 0.1}, is_bearable=True),
    "slow-close": Trouble({"slow_close_s": 2.0}, is_bearable=True),
    "bandwidth": Trouble({"bandwidth": 5000}),
    "refuse": Trouble({"refuse": True}),
    "blackhole": Trouble({"blackhole": True}),
    "reset-in-answers": Trouble({"reset_after": 40}),
    "truncate-in-answers": Trouble({"truncate_after": 25}),
}


async def play_all(players: Sequence[Player], keys: Sequence[str], *, pace_s: float = 0.0) -> list[Fetched]:
    """Each plays all keys, from one of their own on; what they got."""
    before = [len(one.fetched) for one in players]
    turned = [[*keys[n % len(keys) :], *keys[: n % len(keys)]] for n in range(len(players))]
    await asyncio.gather(*(one.play(own, pace_s=pace_s) for one, own in zip(players, turned, strict=True)))
    return [got for one, begin in zip(players, before, strict=True) for got in one.fetched[begin:]]


async def through_a_bad_bucket(
    stage: Theatre, trouble: Trouble, *, players: Sequence[Player], keys: Sequence[str]
) -> None:
    """Cold `keys` are right, refused or cut while the trouble lasts, never wrong, and all right after it."""
    stage.bucket.set(**trouble.faults)
    stage.bucket.reset()
    got = await play_all(players, keys)
    stage.bucket.set()
    stage.bucket.reset()
    assert len(got) == len(players) * len(keys)
    assert wrong(got) == []
    # What is cut had begun as a 200; what never began is refused, and not a connection hung up.
    assert {one.status for one in got if one.is_cut} <= {200}
    assert {one.status for one in got} <= {200, 503}
    if trouble.is_bearable:
        assert failed(got) == []

    async def all_right() -> bool:
        return all([(await players[0].fetch(key)).is_right for key in keys])

    await until(all_right, deadline_s=WELL_WITHIN_S)
    assert failed(await play_all(players, keys)) == []


async def through_a_bad_redis(
    stage: Theatre, trouble: Trouble, *, players: Sequence[Player], newcomer: int, turns: int
) -> None:
    """Who plays goes on; who comes is admitted or told to come again, and is admitted once Redis is well."""
    for one in players:
        one.fetched.clear()
    stage.redis.set(**trouble.faults)
    if not trouble.faults.get("blackhole"):
        stage.redis.reset()
    got = [one for _ in range(turns) for one in await play_all(players, stage.film.segments, pace_s=0.12)]

    async def admitted() -> bool:
        status = await first_of(stage, newcomer)
        assert status in (200, 503)
        return status == 200

    if trouble.is_bearable:
        await until(admitted, deadline_s=WELL_WITHIN_S)
    else:
        await admitted()
    stage.redis.set()
    assert failed(got) == []
    newcomer += 1
    await until(admitted, deadline_s=WELL_WITHIN_S)
    assert failed(await play_all(players, stage.film.segments, pace_s=0.12)) == []


async def first_of(stage: Theatre, number: int) -> int:
    """What a viewer who was never here is answered; a 503 says when to come again."""
    token = stage.edge.token(scope=stage.film.scope, sub=f"viewer-{number}")
    async with linked(stage.edge.port, source=address(number)) as link:
        answer = await link.ask("GET", f"/t/{token}/{stage.film.playlist}")
        assert answer.status != 503 or int(answer.headers["retry-after"]) >= 1
        return answer.status
