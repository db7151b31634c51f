"""All of a large ledger derived anew, and the balance of an account of the platform with and without a snapshot."""

from __future__ import annotations

import time

import asyncpg

from benchmarks.money import stage as stages
from benchmarks.money.stage import Books, Stage
from benchmarks.report import Row
from gateway.control.ledger import actions
from gateway.control.ledger.model import account

POSTINGS, QUICK_POSTINGS = 1_000_000, 10_000
#: Half as many movements as postings, each a top-up of one viewer. Nothing checks each of them: the audit does.
FILL = (
    "alter table posting disable trigger posting_balanced",
    "insert into ledger_account (code, asset, kind, cached, side) values ('cash:bank', 'USD', 'cash', false, 'either')",
    "insert into ledger_account (code, asset, kind, cached, side) "
    "select 'wallet:usr_' || n, 'USD', 'wallet', true, 'credit' from generate_series(1, $1::bigint / 20) n",
    "insert into txn (key, hash, kind) select n::text, '', 'topup' from generate_series(1, $1::bigint / 2) n",
    "insert into posting (txn, account, asset, amount) "
    "select t.id, a.id, 'USD', s.sign * 499 from txn t cross join (values (1), (-1)) s(sign) join ledger_account a "
    "on a.code = case s.sign when 1 then 'wallet:usr_' || (t.id % ($1::bigint / 20) + 1) else 'cash:bank' end "
    "order by t.id, s.sign",
    "update ledger_account a set balance = p.amount from "
    "(select account, sum(amount) as amount from posting group by account) p where p.account = a.id and a.cached",
    "alter table posting enable trigger posting_balanced",
    "vacuum analyze",
)
FILL_TIMEOUT_S = 1200
FALSIFY = "update ledger_account set balance = balance + 1 where code = 'wallet:usr_7'"


async def rows(stage: Stage) -> list[Row]:
    """The audit must find nothing in sound books, and the one unit that is then added to a balance."""
    count = QUICK_POSTINGS if stage.quick else POSTINGS
    async with stages.books(stage.server, 2) as books:
        stage.say(f"filling a ledger with {count:,} postings …")
        await _execute(books, *FILL, count=count)
        walls = []
        for _ in range(1 if stage.quick else 3):
            begun = time.perf_counter()
            found = await actions.audit(begin=books.begin)
            walls.append(time.perf_counter() - begun)
            assert found.differences == [] and found.postings == count, found
        await _execute(books, FALSIFY)
        differences = (await actions.audit(begin=books.begin)).differences
        assert [(one.where, one.kept - one.derived) for one in differences] == [("wallet:usr_7", 1)], differences
        summed = await _balance_ms(books, -499 * count // 2)
        assert await actions.snapshot(begin=books.begin) == 1
        kept = await _balance_ms(books, -499 * count // 2)
    wall = sorted(walls)[len(walls) // 2]
    balance = f"balance of an account with {count // 2:,} postings, with a snapshot, against none"
    return [
        Row(case=f"audit of {count:,} postings", ours=wall, theirs=None, unit="s", value=wall, bar=30, better="lower"),
        Row(case=balance, ours=kept, theirs=summed, unit="ms", value=kept, better="lower"),
    ]


async def _balance_ms(books: Books, expected: int) -> float:
    taken = []
    for _ in range(5):
        async with books.begin() as unit:
            begun = time.perf_counter()
            found = await actions.balance(account("cash", "bank"), "USD", ledger=unit.ledger)
            taken.append(time.perf_counter() - begun)
        assert found.balance == expected, found
    return 1000 * sorted(taken)[len(taken) // 2]


async def _execute(books: Books, *statements: str, count: int = 0) -> None:
    connection = await asyncpg.connect(books.url)
    try:
        for statement in statements:
            values = (count,) if "$1" in statement else ()
            await connection.execute(statement, *values, timeout=FILL_TIMEOUT_S)
    finally:
        await connection.close()
