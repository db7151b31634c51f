"""Amounts set aside: captured, voided or expired, once, and never spent twice meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from gateway.control.ledger import actions
from gateway.control.ledger.model import HoldOrder, Posted
from gateway.control.worker import process
from shared.errors import HoldClosed, Insufficient, KeyReused, NotFound, Unbalanced
from tests.support.control import Control
from tests.support.ledger import LATER, MUCH_LATER, NOW, Books, movement, open_books


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """A ledger with 1000 in a wallet."""
    async with open_books(database_url) as opened:
        await opened.fund(1000)
        yield opened


def sale(key: str, amount: int) -> Callable[[Books, str], Awaitable[Posted]]:
    """A capture of so much."""
    made = movement(key, "sale", wallet__usr_1=-amount, platform_fee=amount)
    return lambda books, hold: books.capture(hold, made)


async def test_what_is_held_cannot_be_spent_or_held_again(books: Books) -> None:
    await books.hold("1", 700)
    assert await books.amounts() == (1000, 700)
    with pytest.raises(Insufficient):
        await books.post(movement("spend", wallet__usr_1=-301, platform_fee=301))
    with pytest.raises(Insufficient):
        await books.hold("2", 301)
    await books.post(movement("spend", wallet__usr_1=-300, platform_fee=300))
    assert await books.amounts() == (700, 700)


async def test_same_order_again_is_the_same_hold_and_another_is_refused(books: Books) -> None:
    first = await books.hold("1", 700)
    again = await books.hold("1", 700)
    assert (again.hold, first.replayed, again.replayed) == (first.hold, False, True)
    with pytest.raises(KeyReused):
        await books.hold("1", 600)
    assert await books.amounts() == (1000, 700)


async def test_nothing_is_held_where_nothing_bounds_the_balance(books: Books) -> None:
    for account in ("platform_fee", "receivable:slr_1", "cash:bank"):
        with pytest.raises(NotFound):
            await books.hold("1", 1, account)


async def test_captured_part_is_booked_and_the_rest_is_free(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    posted = await sale("sale", 450)(books, hold)
    assert await books.amounts() == (550, 0) and await books.amounts("platform_fee") == (450, 0)
    async with books.begin() as unit:
        row = await unit.ledger.held(hold)
    assert row is not None and (row.state, row.captured, row.txn) == ("captured", 450, posted.txn)


async def test_capture_is_booked_once(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    first, again = [await sale("sale", 450)(books, hold) for _ in range(2)]
    assert (again.txn, first.replayed, again.replayed) == (first.txn, False, True)
    with pytest.raises(KeyReused):
        await sale("sale", 451)(books, hold)
    with pytest.raises(HoldClosed):
        await sale("sale:2", 250)(books, hold)
    assert await books.amounts() == (550, 0)


async def test_capture_of_more_than_was_held_or_of_nothing_is_refused(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    for amount in (701, -5):
        with pytest.raises(Unbalanced):
            await sale("sale", amount)(books, hold)
    assert await books.amounts() == (1000, 700)


async def test_capture_under_the_key_of_another_movement_is_refused(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    await books.post(movement("sale", "sale", wallet__usr_1=-5, platform_fee=5))
    with pytest.raises(KeyReused):
        await sale("sale", 5)(books, hold)
    assert await books.amounts() == (995, 700)


async def test_voided_hold_is_free_and_stays_closed(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    assert [await books.void(hold), await books.void(hold)] == [True, False]
    assert await books.amounts() == (1000, 0)
    with pytest.raises(HoldClosed) as refused:
        await sale("sale", 5)(books, hold)
    assert refused.value.details == {"state": "voided"}


async def test_hold_that_is_over_cannot_be_captured_even_before_it_is_swept(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    with pytest.raises(HoldClosed):
        await books.capture(hold, movement("sale", wallet__usr_1=-5, platform_fee=5), now=LATER)
    assert await actions.expire(begin=books.begin, now=NOW) == 0
    assert [await actions.expire(begin=books.begin, now=LATER) for _ in range(2)] == [1, 0]
    assert await books.amounts() == (1000, 0)
    with pytest.raises(HoldClosed):
        await books.void(hold, MUCH_LATER)


async def test_captured_hold_cannot_be_voided(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    await sale("sale", 700)(books, hold)
    with pytest.raises(HoldClosed):
        await books.void(hold)


async def test_unknown_hold_is_not_found(books: Books) -> None:
    for ask in (books.void("hld_none"), sale("sale", 5)(books, "hld_none")):
        with pytest.raises(NotFound):
            await ask


async def test_racers_for_a_hold_close_it_once(books: Books) -> None:
    hold = (await books.hold("1", 700)).hold
    captures = [sale(f"sale:{n}", 700)(books, hold) for n in range(8)]
    ends = await asyncio.gather(
        *captures,
        *(books.void(hold) for _ in range(8)),
        *(actions.expire(begin=books.begin, now=LATER) for _ in range(8)),
        return_exceptions=True,
    )
    assert {type(end) for end in ends} <= {Posted, HoldClosed, bool, int}
    closed = sum(isinstance(end, Posted) or end is True or (type(end) is int and end == 1) for end in ends)
    assert closed == 1
    spent = sum(isinstance(end, Posted) for end in ends) * 700
    assert await books.amounts() == (1000 - spent, 0)
    assert (await books.audit()).differences == []


async def test_racers_for_the_last_of_a_wallet_never_hold_more_than_it_has(books: Books) -> None:
    ends = await asyncio.gather(*(books.hold(str(n), 300) for n in range(20)), return_exceptions=True)
    assert sum(isinstance(end, Insufficient) for end in ends) == 17
    assert await books.amounts() == (1000, 900)


async def test_worker_frees_what_holds_that_are_over_set_aside(control: Control) -> None:
    books = Books(control.wiring["pool"])
    await books.fund(1000)
    order = HoldOrder(key="1", account="wallet:usr_1", asset="USD", amount=700, expires_at=control.clock.now())
    async with books.begin() as unit:
        await actions.hold(order, ledger=unit.ledger)
    await process.expire_holds(control.wiring)
    assert await books.amounts() == (1000, 0)
