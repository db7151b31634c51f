"""Movements a second by eight writers: a balance of the platform added up when it is asked for, or kept in its row."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median

import asyncpg
import msgspec

from benchmarks.cases import percentile_ms
from benchmarks.money import stage as stages
from benchmarks.money.stage import Books, Stage
from benchmarks.report import Row
from gateway.control.ledger import actions
from gateway.control.ledger.model import Leg, Movement, Stamps, account
from shared.money import Share, split

WRITERS, VIEWERS, SELLERS, PRICE = 8, 1000, 50, 499
SHARES = (Share(to="platform_fee", bp=1000), Share(to="", weight=1))
OURS, THEIRS = "added up", "kept in the row"
#: The other side: every account keeps its balance, as ledgers commonly do.
ALL_KEPT = "update ledger_kind set cached = true"


class Turn(msgspec.Struct, frozen=True):
    """What one side did in one turn: seconds of wall time, and of each movement."""

    wall_s: float
    each_s: list[float]

    @property
    def per_s(self) -> float:
        """Movements a second."""
        return len(self.each_s) / self.wall_s


async def rows(stage: Stage) -> list[Row]:
    """Both sides in turn; afterwards both ledgers are derived anew and must be without a difference."""
    turns: dict[str, list[Turn]] = {OURS: [], THEIRS: []}
    async with AsyncExitStack() as stack:
        sides = {name: await stack.enter_async_context(_side(stage, name)) for name in turns}
        for number in range(stage.rounds):
            for name in sorted(sides, reverse=number % 2 == 1):
                turn = await _turn(sides[name], number, stage.seconds)
                turns[name].append(turn)
                stage.say(f"{name}: {turn.per_s:,.0f} movements/s, p99 {percentile_ms(turn.each_s, 99):.1f} ms")
        for name, side in sides.items():
            await _sound(side, turns[name])
    return _rows(turns)


def _rows(turns: Mapping[str, list[Turn]]) -> list[Row]:
    ours, theirs = (median(turn.per_s for turn in turns[name]) for name in (OURS, THEIRS))
    ratio = median(a.per_s / b.per_s for a, b in zip(turns[OURS], turns[THEIRS], strict=True))
    case = f"post() by {WRITERS} writers, the platform's balance {OURS}, against {THEIRS}"
    made = [
        Row(case=case, ours=ours, theirs=theirs, unit="movements/s", value=ours, bar=600),
        Row(case="the same, as a ratio", ours=ours, theirs=theirs, unit="movements/s", value=ratio),
    ]
    for share, bar in ((50, None), (99, 100.0)):
        ours, theirs = (
            percentile_ms([each for turn in turns[name] for each in turn.each_s], share) for name in (OURS, THEIRS)
        )
        row = Row(case=f"post(), p{share}", ours=ours, theirs=theirs, unit="ms", value=ours, bar=bar, better="lower")
        made.append(row)
    return made


@asynccontextmanager
async def _side(stage: Stage, name: str) -> AsyncIterator[Books]:
    """A ledger whose viewers have enough to spend."""
    async with stages.books(stage.server, WRITERS) as made:
        if name == THEIRS:
            connection = await asyncpg.connect(made.url)
            try:
                await connection.execute(ALL_KEPT)
            finally:
                await connection.close()
        for first in range(0, VIEWERS, 100):
            wallets = [account("wallet", f"usr_{number}") for number in range(first, first + 100)]
            legs = [Leg(account("cash", "bank"), "USD", -100 * 10**12), *(Leg(code, "USD", 10**12) for code in wallets)]
            async with made.begin() as unit:
                await actions.post(Movement(key=f"fund:{first}", kind="topup", legs=legs), ledger=unit.ledger)
        yield made


async def _turn(side: Books, number: int, seconds: float) -> Turn:
    each_s: list[float] = []
    begun = time.perf_counter()
    await asyncio.gather(
        *(_write(side, f"{number}:{writer}", until=begun + seconds, each_s=each_s) for writer in range(WRITERS))
    )
    return Turn(time.perf_counter() - begun, each_s)


async def _write(side: Books, name: str, *, until: float, each_s: list[float]) -> None:
    """One sale after the other, each in a transaction as control makes it."""
    chance = random.Random(name)
    count = 0
    while (begun := time.perf_counter()) < until:
        sale = _sale(f"{name}:{count}", chance)
        async with side.begin() as unit:
            await actions.post(sale, ledger=unit.ledger)
        each_s.append(time.perf_counter() - begun)
        count += 1


def _sale(key: str, chance: random.Random) -> Movement:
    """A view at 4.99: a viewer pays, the platform takes its fee, the seller gets the rest."""
    seller = f"slr_{chance.randrange(SELLERS)}"
    fee, rest = split(PRICE, SHARES)
    legs = (
        Leg(account("wallet", f"usr_{chance.randrange(VIEWERS)}"), "USD", -PRICE),
        Leg(account("platform_fee"), "USD", fee),
        Leg(account("earnings_pending", seller), "USD", rest),
    )
    stamps = Stamps(seller=seller, scope="ttl_bench", model="tvod", legal_entity="bench", fee_bp=1000)
    return Movement(key=key, kind="sale", legs=legs, stamps=stamps)


async def _sound(side: Books, turns: list[Turn]) -> None:
    """Every movement that was confirmed is there, once, and everything adds up."""
    found = await actions.audit(begin=side.begin)
    sales = sum(len(turn.each_s) for turn in turns)
    assert found.differences == [] and found.txns == sales + VIEWERS // 100, found
    async with side.begin() as unit:
        fees = await actions.balance(account("platform_fee"), "USD", ledger=unit.ledger)
    assert fees.balance == sales * split(PRICE, SHARES)[0], fees
