"""Looking at the ledger: balances and snapshots, history page by page, movements, and the audit that finds what is
wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gateway.control.ledger import actions
from gateway.control.ledger.model import Difference
from gateway.control.worker import process
from shared.errors import NotFound
from tests.support.control import Control
from tests.support.ledger import Books, movement, open_books


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    """An empty ledger."""
    async with open_books(database_url) as opened:
        yield opened


async def test_balance_of_a_platform_account_is_the_snapshot_and_what_came_after(books: Books) -> None:
    await books.fund(1000)
    for n in range(3):
        await books.post(movement(f"a:{n}", wallet__usr_1=-10, platform_fee=10))
    assert await actions.snapshot(begin=books.begin) == 2
    await books.post(movement("b", wallet__usr_1=-7, platform_fee=7))
    assert await books.amounts("platform_fee") == (37, 0)
    assert await actions.snapshot(begin=books.begin) == 1
    assert await actions.snapshot(begin=books.begin) == 0
    kept = await books.pool.fetch(
        "select s.balance from snapshot s join ledger_account a on a.id = s.account "
        "where a.code = 'platform_fee' order by s.posting"
    )
    assert [row["balance"] for row in kept] == [30, 37]
    assert await books.value("select sum(balance) from ledger_account where not cached") == 0


async def test_snapshot_is_not_taken_while_somebody_posts(books: Books) -> None:
    await books.fund(1)
    async with books.begin() as unit:
        await unit.ledger.post(movement("slow", cash__bank=-5, wallet__usr_1=5))
        await books.fund(9, "wallet__usr_2")
        assert await actions.snapshot(begin=books.begin) is None
    assert await actions.snapshot(begin=books.begin) == 1
    assert await books.amounts("cash:bank") == (-15, 0)


async def test_snapshots_among_writers_lose_nothing(books: Books) -> None:
    await books.fund(1000)

    async def write(name: str) -> None:
        for n in range(30):
            await books.post(movement(f"{name}:{n}", wallet__usr_1=-1, platform_fee=1))

    writers = asyncio.gather(*(write(str(n)) for n in range(4)))
    while not writers.done():
        await actions.snapshot(begin=books.begin)
    await writers
    assert await books.amounts("platform_fee") == (120, 0)
    assert (await books.audit()).differences == []


async def test_worker_takes_snapshots(control: Control) -> None:
    books = Books(control.wiring["pool"])
    await books.fund(1000)
    await process.take_snapshots(control.wiring)
    assert await books.value("select balance from snapshot") == -1000


async def test_history_is_read_page_by_page_while_more_is_booked(books: Books) -> None:
    await books.fund(100)
    for n in range(6):
        await books.post(movement(f"old:{n}", wallet__usr_1=-1, platform_fee=1))
    await books.fund(5, asset="EUR")
    account = await books.balance()
    seen, cursor, pages = [], None, 0
    while pages == 0 or cursor is not None:
        async with books.begin() as unit:
            page = await actions.history(account, ledger=unit.ledger, before=cursor, limit=3)
        seen += page.items
        cursor, pages = page.next, pages + 1
        await books.post(movement(f"new:{pages}", wallet__usr_1=-1, platform_fee=1))
    assert [one.amount for one in seen] == 6 * [-1] + [100]
    assert pages == 3 and {one.asset for one in seen} == {"USD"}


async def test_movement_is_found_by_id_and_by_key(books: Books) -> None:
    posted = await books.post(movement("77", "topup", cash__bank=-5, wallet__usr_1=5))
    taken_back = movement("78", "refund", cash__bank=5, wallet__usr_1=-5, reverses=posted.txn)
    await books.post(taken_back)
    async with books.begin() as unit:
        by_id, by_key = [await actions.show(ref, ledger=unit.ledger) for ref in (str(posted.txn), "77")]
        refund = await actions.show("78", ledger=unit.ledger)
        for ref in ("79", "no:such", "9" * 40, "٣"):
            with pytest.raises(NotFound):
                await actions.show(ref, ledger=unit.ledger)
    assert by_id == by_key and by_key.kind == "topup" and refund.reverses == posted.txn


async def test_account_that_was_never_posted_to_holds_nothing_and_is_not_found(books: Books) -> None:
    assert await books.amounts("wallet:usr_9") == (0, 0)
    async with books.begin() as unit:
        with pytest.raises(NotFound):
            await actions.balances("wallet:usr_9", ledger=unit.ledger)


async def test_audit_finds_nothing_in_sound_books_and_counts_them(books: Books) -> None:
    await books.fund(1000)
    hold = (await books.hold("1", 300)).hold
    await books.capture(hold, movement("sale", wallet__usr_1=-200, platform_fee=200))
    await books.hold("2", 50)
    await actions.snapshot(begin=books.begin)
    found = await books.audit()
    assert (found.accounts, found.txns, found.postings, found.differences) == (3, 2, 4, [])


async def test_audit_names_every_figure_that_the_postings_do_not_bear_out(books: Books) -> None:
    await books.fund(1000)
    hold = (await books.hold("1", 300)).hold
    await books.capture(hold, movement("sale", wallet__usr_1=-200, platform_fee=200))
    # As the owner of the tables could, past everything that guards them.
    for break_it in (
        "update ledger_account set balance = balance + 5, held = 7 where code = 'wallet:usr_1'",
        "update hold set captured = 201",
        "insert into snapshot (account, posting, balance) select id, 99, 199 from ledger_account "
        "where code = 'platform_fee'",
        "alter table posting disable trigger posting_balanced",
        "insert into posting (txn, account, asset, amount) select max(txn), max(account), 'USD', 3 from posting",
    ):
        await books.value(break_it)
    txn = await books.value("select max(id) from txn")
    found = {one.what: one for one in (await books.audit()).differences}
    assert found == {
        "balance": Difference(what="balance", where="wallet:usr_1", asset="USD", kept=805, derived=800),
        "held": Difference(what="held", where="wallet:usr_1", asset="USD", kept=7, derived=0),
        "snapshot": Difference(what="snapshot", where="platform_fee", asset="USD", kept=199, derived=203),
        "captured": Difference(what="captured", where=hold, asset="USD", kept=201, derived=200),
        "asset": Difference(what="asset", where="", asset="USD", kept=0, derived=3),
        "txn": Difference(what="txn", where=str(txn), asset="USD", kept=0, derived=3),
    }
