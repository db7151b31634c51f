"""How long it takes to learn what a viewer may watch: kept in Redis, and asked of Postgres among all purchases."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime

import asyncpg
import msgspec
from redis.asyncio import Redis

from benchmarks.cases import percentile_ms
from benchmarks.money import stage as stages
from benchmarks.money.stage import Books, Stage
from benchmarks.report import Row
from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title
from gateway.control.entitlements import actions
from gateway.control.entitlements.standings import RedisStandings
from gateway.control.wiring import Unit
from tests.support import crowd
from tests.support.ports import free_port
from tests.support.valkey import valkey

VIEWERS, QUICK_VIEWERS = 1_000_000, 1_000
#: Who asks for what: half for what they bought, half for anything.
PAIRS, QUICK_PAIRS = 400, 40
#: An entry of the cache is kept for seconds, so they ask in turn, at once.
TURNS = 10
FILL_TIMEOUT_S = 3600
TITLES = 2000


class Pair(msgspec.Struct, frozen=True):
    """A viewer, a title, and the right that the viewer certainly has to it, if any."""

    viewer: Principal
    title: Title
    held: str


async def rows(stage: Stage) -> list[Row]:
    """Both ways give the same answer, and the kept one asks Postgres nothing."""
    viewers = QUICK_VIEWERS if stage.quick else VIEWERS
    async with stages.books(stage.server, 2) as books:
        stage.say(f"filling a market with {10 * viewers:,} purchases …")
        await _fill(books, viewers)
        pairs = await _pairs(books, viewers, QUICK_PAIRS if stage.quick else PAIRS)
        asked = await _asked(books, pairs)
        kept = await _kept(books, pairs)
        by_none = await _by_no_index(books)
    rows = _rows(kept, asked, viewers=viewers)
    # A table of few rows is rightly read whole.
    return [*rows, _indexed(by_none, bar=None if stage.quick else 0)]


def _rows(kept: Sequence[float], asked: Sequence[float], *, viewers: int) -> list[Row]:
    among = f"{10 * viewers:,} purchases of {viewers:,} viewers"
    made = []
    for share, kept_bar, asked_bar in ((95, 1.0, 5.0), (50, None, None)):
        ours, theirs = percentile_ms(kept, share), percentile_ms(asked, share)
        cached = f"entitlement from the cache against Postgres, p{share}"
        made += [
            Row(case=cached, ours=ours, theirs=theirs, unit="ms", value=ours, bar=kept_bar, better="lower"),
            Row(
                case=f"entitlement from Postgres among {among}, p{share}",
                ours=theirs,
                theirs=None,
                unit="ms",
                value=theirs,
                bar=asked_bar,
                better="lower",
            ),
        ]
    return made


def _indexed(by_none: Mapping[str, set[str]], *, bar: float | None) -> Row:
    count = len(by_none)
    case = f"of {len(crowd.QUERIES)} queries of rights, offers, coupons and cards, by no index"
    return Row(case=case, ours=count, theirs=None, unit="queries", value=count, bar=bar, better="lower")


async def _by_no_index(books: Books) -> dict[str, set[str]]:
    connection = await asyncpg.connect(books.url)
    try:
        return await crowd.by_no_index(connection)
    finally:
        await connection.close()


async def _fill(books: Books, viewers: int) -> None:
    connection = await asyncpg.connect(books.url)
    try:
        await crowd.fill(connection, viewers=viewers, timeout_s=FILL_TIMEOUT_S)
    finally:
        await connection.close()


async def _pairs(books: Books, viewers: int, count: int) -> list[Pair]:
    chance, made = random.Random(7), []
    async with books.begin() as unit:
        titles = {one.id: one for one in await unit.catalogue.by_ids([f"ttl_{n}" for n in range(TITLES)])}
    for number in range(count):
        viewer = chance.randrange(viewers)
        bought = viewer + viewers * chance.randrange(10)
        is_held = number % 2 == 0
        title = bought // 7 % TITLES if is_held else chance.randrange(TITLES)
        principal = Principal(f"usr_{viewer}", "registered", f"sub_{viewer}")
        made.append(Pair(principal, titles[f"ttl_{title}"], f"ent_{bought}" if is_held else ""))
    return made


async def _asked(books: Books, pairs: Sequence[Pair]) -> list[float]:
    """As a link is minted: in a transaction, by what the database holds at this moment."""
    each_s, now = [], datetime.now(UTC)
    for _ in range(TURNS):
        for pair in pairs:
            began = time.perf_counter()
            async with books.begin() as unit:
                await actions.may_watch(pair.title, pair.viewer, entitlements=unit.entitlements, now=now)
            each_s.append(time.perf_counter() - began)
    return each_s


async def _kept(books: Books, pairs: Sequence[Pair]) -> list[float]:
    """As pages are shown: in one round trip to Redis."""
    each_s: list[float] = []
    questions = 0

    def begin() -> AbstractAsyncContextManager[Unit]:
        nonlocal questions
        questions += 1
        return books.begin()

    with valkey(free_port()) as server:
        redis = Redis.from_url(server.url)
        standings = RedisStandings(redis, begin)
        for pair in pairs:
            found = await standings.anew(pair.title, pair.viewer)
            assert not pair.held or pair.held in {right.id for right in found.rights}, pair
        asked_before = questions
        for _ in range(TURNS):
            for pair in pairs:
                began = time.perf_counter()
                await standings.of(pair.title, pair.viewer)
                each_s.append(time.perf_counter() - began)
        assert questions == asked_before, f"{questions - asked_before} were not kept"
        await redis.aclose()
    return each_s
