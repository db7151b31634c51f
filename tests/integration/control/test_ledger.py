"""The ledger on a real Postgres: what is booked adds up, happens once, never changes, and takes from nobody what is not
there."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import get_args

import asyncpg
import pytest

from gateway.control.ledger import actions
from gateway.control.ledger.model import Event, Kind, Leg, Model, Movement, Stamps
from shared import money
from shared.errors import Insufficient, Invalid, KeyReused, NotFound, Unbalanced
from shared.events import Push
from tests.support.ledger import Books, movement, open_books
from tests.support.patience import until
from tests.support.postgres import WAITING


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """An empty ledger."""
    async with open_books(database_url) as opened:
        yield opened


async def test_movement_reaches_every_account_with_its_stamps(books: Books) -> None:
    await books.fund(1000)
    stamps = Stamps(
        seller="slr_1", scope="ttl_1", model="tvod", legal_entity="Usher Ltd", fee_bp=1000, value_version=3,
        provider_ref="pi_1",
    )  # fmt: skip
    legs = {"wallet__usr_1": -500, "platform_fee": 50, "earnings_pending__slr_1": 450}
    posted = await books.post(movement("sale:1", "sale", stamps=stamps, **legs))
    async with books.begin() as unit:
        shown = await actions.show("sale:1", ledger=unit.ledger)
    assert (shown.id, shown.kind) == (posted.txn, "sale")
    assert [(one.account, one.amount) for one in shown.postings] == [
        ("wallet:usr_1", -500),
        ("platform_fee", 50),
        ("earnings_pending:slr_1", 450),
    ]
    assert {one.stamps for one in shown.postings} == {stamps}
    assert await books.amounts() == (500, 0) and await books.amounts("platform_fee") == (50, 0)


async def test_leg_of_zero_is_not_booked(books: Books) -> None:
    posted = await books.post(movement("1", cash__bank=-5, wallet__usr_1=5, platform_fee=0))
    assert await books.value("select count(*) from posting where txn = $1", posted.txn) == 2


async def test_second_call_with_a_key_books_nothing(books: Books) -> None:
    first = await books.fund(1000)
    again = await books.fund(1000)
    assert (first.replayed, again.replayed, again.txn) == (False, True, first.txn)
    assert await books.amounts() == (1000, 0)
    assert await books.value("select count(*) from posting") == 2


async def test_key_of_another_movement_is_refused(books: Books) -> None:
    await books.post(movement("1", cash__bank=-5, wallet__usr_1=5))
    for other in (
        movement("1", cash__bank=-6, wallet__usr_1=6),
        movement("1", cash__bank=-5, wallet__usr_2=5),
        movement("1", cash__bank=-5, wallet__usr_1=5, asset="EUR"),
        movement("1", "other", cash__bank=-5, wallet__usr_1=5),
        movement("1", cash__bank=-5, wallet__usr_1=5, stamps=Stamps(seller="slr_1")),
        movement("1", cash__bank=-5, wallet__usr_1=5, reverses=1),
    ):
        with pytest.raises(KeyReused):
            await books.post(other)
    assert await books.value("select count(*) from txn") == 1


async def test_more_than_there_is_is_refused(books: Books) -> None:
    await books.fund(100)
    with pytest.raises(Insufficient) as refused:
        await books.post(movement("1", wallet__usr_1=-101, platform_fee=101))
    assert refused.value.details == {"account": "wallet:usr_1", "asset": "USD"}
    assert await books.amounts() == (100, 0) and await books.amounts("platform_fee") == (0, 0)
    assert (await books.post(movement("1", wallet__usr_1=-100, platform_fee=100))).replayed is False


async def test_legs_of_one_account_are_taken_together(books: Books) -> None:
    def taken(key: str, *amounts: int) -> Movement:
        legs = [Leg("wallet:usr_1", "USD", amount) for amount in amounts]
        return Movement(key=key, kind="test", legs=[*legs, Leg("platform_fee", "USD", -sum(amounts))])

    await books.fund(100)
    with pytest.raises(Insufficient):
        await books.post(taken("1", -60, -60))
    await books.post(taken("2", -60, -60, 30))
    assert await books.amounts() == (10, 0) and await books.amounts("platform_fee") == (90, 0)
    assert (await books.audit()).differences == []


async def test_receivable_is_never_above_zero(books: Books) -> None:
    await books.post(movement("1", receivable__slr_1=-70, refunds_clearing=70))
    with pytest.raises(Insufficient):
        await books.post(movement("2", receivable__slr_1=71, refunds_clearing=-71))
    await books.post(movement("3", receivable__slr_1=70, refunds_clearing=-70))
    assert await books.amounts("receivable:slr_1") == (0, 0)


async def test_movement_on_what_is_no_account_is_refused(books: Books) -> None:
    for made, error in (
        (movement("1", wallets__usr_1=5, cash__bank=-5), NotFound),
        (movement("1", wallet__usr_1=5, cash__bank=-5, asset="XYZ"), NotFound),
        (movement("1", wallet__usr_1=5, cash__bank=-5, reverses=7), NotFound),
        (movement("1", **{"wallet:usr 1": 5, "cash__bank": -5}), Invalid),
        (movement("", wallet__usr_1=5, cash__bank=-5), Invalid),
    ):
        with pytest.raises(error):
            await books.post(made)
    assert await books.value("select count(*) from ledger_account") == 0


async def test_sum_that_leaves_the_range_of_amounts_is_refused(books: Books) -> None:
    most = 10**39 - 1
    await books.fund(most)
    with pytest.raises(Invalid):
        await books.post(movement("1", wallet__usr_1=1, cash__bank=-1))
    assert await books.amounts() == (most, 0) and await books.amounts("cash:bank") == (-most, 0)


async def test_amount_that_is_no_integer_does_not_reach_the_database(books: Books) -> None:
    for amount in (1.5, 2.0, Decimal(2), True, "2"):
        with pytest.raises(asyncpg.DataError):
            await books.value("select $1::numeric", amount)
    assert await books.value("select $1::numeric", -(10**38)) == -(10**38)


async def test_function_refuses_what_does_not_add_up(books: Books) -> None:
    for number, amounts in enumerate(([5, -4], [5, 5], [0, 0])):
        legs = [Leg("cash:bank", "USD", amounts[0]), Leg("platform_fee", "USD", amounts[1])]
        with pytest.raises(Unbalanced):
            async with books.begin() as unit:
                await unit.ledger.post(Movement(key=str(number), kind="test", legs=legs))
    crossed = [Leg("cash:bank", "USD", -5), Leg("platform_fee", "EUR", 5)]
    with pytest.raises(Unbalanced):
        async with books.begin() as unit:
            await unit.ledger.post(Movement(key="crossed", kind="test", legs=crossed))
    assert await books.value("select count(*) from txn") == 0


async def test_what_does_not_add_up_is_refused_however_it_comes_in(books: Books) -> None:
    posted = await books.fund(5)
    add = "insert into posting (txn, account, asset, amount) select txn, account, asset, $2 from posting where txn = $1"
    with pytest.raises(asyncpg.PostgresError, match="does not add up to zero in USD"):
        await books.value(add + " limit 1", posted.txn, 1)
    assert await books.value("select count(*) from posting") == 2
    other = await books.fund(5, "wallet__usr_2")
    across = """
        insert into posting (txn, account, asset, amount)
        select txn, account, asset, case txn when $1 then 1 else -1 end from posting where amount > 0 and txn >= $1
    """
    with pytest.raises(asyncpg.PostgresError, match=f"txn {posted.txn} does not add up to zero in USD"):
        await books.value(across, posted.txn)
    assert await books.value("select count(*) from posting where txn in ($1, $2)", posted.txn, other.txn) == 4


@pytest.mark.parametrize("granted", [False, True], ids=["by grants", "by trigger"])
async def test_what_was_booked_cannot_be_changed(books: Books, granted: bool) -> None:
    await books.fund(5)
    await actions.snapshot(begin=books.begin)
    before = await books.value("select string_agg(p::text, ' ' order by id) from posting p")
    writes = ("update {} set at = now()", "delete from {}", "truncate {} cascade")
    for table in ("posting", "txn", "snapshot", "ledger_account"):
        if granted:
            await books.value(f"grant all on {table} to current_user")
        # The balance of an account is the one thing that changes, within its bounds.
        for write in writes if table != "ledger_account" else ("update {} set balance = -1", *writes[1:]):
            with pytest.raises(asyncpg.PostgresError, match=r"append-only|permission denied|ledger_account_covered"):
                await books.value(write.format(table))
    assert await books.value("select string_agg(p::text, ' ' order by id) from posting p") == before


async def test_events_leave_with_the_movement_and_name_it(books: Books) -> None:
    told = Event("entitlement.granted", "usr_1", {"scope": "ttl_1"})
    posted = await books.post(movement("1", "gift", cash__bank=-5, wallet__usr_1=5, events=[told]))
    await books.post(movement("1", "gift", cash__bank=-5, wallet__usr_1=5, events=[told]))
    async with books.begin() as unit:
        rows = [row.envelope for row in await unit.outbox.take(10, topic="event")]
    assert [(row.type, row.subject, row.data) for row in rows] == [
        (
            "ledger.posted",
            str(posted.txn),
            {"txn": posted.txn, "kind": "gift", "accounts": ["cash:bank", "wallet:usr_1"]},
        ),
        ("entitlement.granted", "usr_1", {"txn": posted.txn, "scope": "ttl_1"}),
    ]


async def test_movement_makes_no_other_commit_wait_by_notifying(books: Books) -> None:
    heard: list[object] = []
    told = asyncio.Event()

    def hear(*said: object) -> None:
        heard.append(said)
        told.set()

    async with books.pool.acquire() as connection:
        await connection.add_listener("outbox", hear)
        await books.fund(5)
        async with books.begin() as unit:
            await unit.outbox.push(Push(kind="sub", key="sub_1", iat=1, reason="right-ended"))
        await asyncio.wait_for(told.wait(), 60)
        await connection.remove_listener("outbox", hear)
    assert len(heard) == 1


async def test_event_that_is_not_listed_is_not_booked(books: Books) -> None:
    with pytest.raises(ValueError, match=r"shared/events\.py"):
        await books.post(movement("1", cash__bank=-5, wallet__usr_1=5, events=[Event("no.such", "x")]))
    assert await books.value("select count(*) from txn") == 0


async def test_bonus_and_paid_tokens_are_assets_like_others(books: Books) -> None:
    await books.post(movement("gift", promotions=-30, wallet__usr_1=30, asset="BONUS"))
    await books.post(movement("buy:money", cash__bank=-500, platform_fee=500))
    await books.post(movement("buy:tokens", promotions=-50, wallet__usr_1=50, asset="PAID"))
    both = [
        Leg("wallet:usr_1", "BONUS", -30),
        Leg("promotions", "BONUS", 30),
        Leg("wallet:usr_1", "PAID", -10),
        Leg("platform_fee", "PAID", 1),
        Leg("earnings_pending:slr_1", "PAID", 9),
    ]
    await books.post(Movement(key="watch", kind="sale", legs=both, stamps=Stamps(model="token", value_version=1)))
    async with books.begin() as unit:
        held = {one.asset: one.balance for one in await actions.balances("wallet:usr_1", ledger=unit.ledger)}
    assert held == {"BONUS": 0, "PAID": 40}
    with pytest.raises(Insufficient):
        await books.post(movement("more", wallet__usr_1=-1, promotions=1, asset="BONUS"))
    assert (await books.audit()).differences == []


async def test_kinds_models_and_decimals_of_code_and_database_are_the_same(books: Books) -> None:
    kinds = await books.value("select array_agg(name order by name) from ledger_kind")
    assert kinds == sorted(get_args(Kind))
    check = await books.value(
        "select pg_get_constraintdef(oid) from pg_constraint where conname = 'posting_model_check'"
    )
    assert [word for word in check.split("'") if word.isalpha() and word.islower()] == list(get_args(Model))
    rows = await books.pool.fetch("select code, decimals from asset")
    assert {row["code"]: row["decimals"] for row in rows} == {row["code"]: money.decimals(row["code"]) for row in rows}
    assert set(money.DECIMALS) <= {row["code"] for row in rows}


async def test_one_of_64_racers_on_a_key_books_and_63_are_told_of_it(books: Books) -> None:
    await books.fund(1000)
    sale = movement("sale", wallet__usr_1=-500, platform_fee=50, earnings_pending__slr_1=450)
    told = await asyncio.gather(*(books.post(sale) for _ in range(64)))
    assert sorted(one.replayed for one in told) == [False] + 63 * [True]
    assert len({one.txn for one in told}) == 1
    assert await books.amounts() == (500, 0)
    assert await books.value("select count(*) from posting where txn = $1", told[0].txn) == 3


async def test_racers_for_the_last_of_a_wallet_never_take_more_than_it_holds(books: Books) -> None:
    await books.fund(100)
    takes = [movement(f"take:{n}", wallet__usr_1=-30, platform_fee=30) for n in range(20)]
    ends = await asyncio.gather(*(books.post(take) for take in takes), return_exceptions=True)
    assert sum(isinstance(end, Insufficient) for end in ends) == 17
    assert await books.amounts() == (10, 0) and await books.amounts("platform_fee") == (90, 0)


async def test_who_waited_for_a_wallet_is_told_what_was_left_in_it(books: Books) -> None:
    await books.fund(100)
    await books.post(movement("open", wallet__usr_1=-1, platform_fee=1))
    async with books.begin() as unit:
        await actions.post(movement("first", wallet__usr_1=-79, platform_fee=79), ledger=unit.ledger)
        second = asyncio.create_task(books.post(movement("second", wallet__usr_1=-30, platform_fee=30)))
        await until(lambda: books.value(WAITING))
    with pytest.raises(Insufficient):
        await second
    assert await books.amounts() == (20, 0)


async def test_transfers_to_and_fro_at_once_all_end(books: Books) -> None:
    await books.fund(1000, "wallet__usr_1")
    await books.fund(1000, "wallet__usr_2")
    there = [movement(f"there:{n}", wallet__usr_1=-7, wallet__usr_2=7) for n in range(40)]
    back = [movement(f"back:{n}", wallet__usr_2=-7, wallet__usr_1=7) for n in range(40)]
    await asyncio.gather(*(books.post(one) for pair in zip(there, back, strict=True) for one in pair))
    assert await books.amounts("wallet:usr_1") == (1000, 0) == await books.amounts("wallet:usr_2")
