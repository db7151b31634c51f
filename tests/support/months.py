"""The ledger's past for tests: postings moved into other months, and sums of them derived row by row."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

#: A legal entity and a currency, of which a statement has one part each.
Key = tuple[str, str]
#: Kinds of movements that a seller's own accounts tell, beside those that a rail paid at once.
OWN = ("earnings_pending", "earnings", "payout_in_transit", "receivable")
ROWS = """
select p.id, p.txn, p.at, p.asset, p.amount, p.seller, p.scope, p.legal_entity, a.code, t.kind
from posting p join txn t on t.id = p.txn join ledger_account a on a.id = p.account order by p.id
"""
#: What the ledger refuses to everybody else; its owner may take the refusal back, as a test does.
OPEN = """
grant update on posting to current_user;
alter table posting disable trigger user;
"""
CLOSE = """
alter table posting enable trigger user;
revoke update on posting from current_user;
"""


async def move(pool: asyncpg.Pool, months: Mapping[int, datetime]) -> None:
    """Let movements have been booked at other moments."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(OPEN)
        await connection.executemany("update posting set at = $2 where txn = $1", list(months.items()))
        await connection.execute(CLOSE)


async def move_rest(pool: asyncpg.Pool, to: datetime) -> None:
    """Let everything booked so far that lies after a moment have been booked then."""
    rows = await pool.fetch("select distinct txn from posting where at > $1", to)
    await move(pool, {row["txn"]: to for row in rows})


async def expected(
    pool: asyncpg.Pool, seller: str, month: tuple[datetime, datetime], *, company: str
) -> dict[Key, dict[str, int]]:
    """A statement by legal entity and currency, derived movement by movement: what each moved of the seller's own.

    `company`: the legal entity of what was stamped with none. Sales, refunds and chargebacks are told from purchases:
    the payer's side of each, whoever shares in it.
    """
    movements: dict[tuple[int, Key], list[dict[str, Any]]] = {}
    for row in await pool.fetch(ROWS):
        key = (row["legal_entity"] or company, row["asset"])
        movements.setdefault((row["txn"], key), []).append(dict(row))
    found: dict[Key, dict[str, int]] = {}
    for (_, key), legs in movements.items():
        lines = found.setdefault(key, {"opening": 0, "closing": 0})
        own = sum(row["amount"] for row in legs if _is_own(row["code"], seller))
        at = legs[0]["at"]
        lines["opening"] += own if at < month[0] else 0
        lines["closing"] += own if at < month[1] else 0
        if month[0] <= at < month[1]:
            for line, amount in _told(legs, seller, own).items():
                lines[line] = lines.get(line, 0) + amount
    return {key: kept for key, lines in found.items() if any((kept := _not_nothing(lines)).values())}


def _not_nothing(lines: dict[str, int]) -> dict[str, int]:
    return {line: amount for line, amount in lines.items() if amount or line in ("opening", "closing")}


def _told(legs: list[dict[str, Any]], seller: str, own: int) -> dict[str, int]:
    kind = legs[0]["kind"]
    if kind in ("payout", "payout-returned"):
        return {"payouts": own}
    if kind not in ("sale", "refund", "dispute", "dispute-won"):
        return {"other": own}
    external = sum(
        row["amount"] for row in legs if row["code"].startswith("external:") and _owner(row["code"]) == seller
    )
    if legs[0]["seller"] != seller:
        return {"shares": own + external, "external": -external}
    fee = sum(row["amount"] for row in legs if row["code"] == "platform_fee")
    others = sum(
        row["amount"] for row in legs if _owner(row["code"]).startswith("slr_") and _owner(row["code"]) != seller
    )
    # Who brought the buyer is paid of the fee: on a wallet that is not the payer's.
    fee += sum(row["amount"] for row in legs if _owner(row["code"]) == "usr_bringer")
    names = {"sale": "sales", "refund": "refunds", "dispute": "chargebacks", "dispute-won": "chargebacks_won"}
    gross = own + external + fee + others
    return {names[kind]: gross, "fees": -fee, "partner_shares": -others, "external": -external}


def _is_own(code: str, seller: str) -> bool:
    kind, _, owner = code.partition(":")
    return kind in OWN and owner == seller


def _owner(code: str) -> str:
    return code.rpartition(":")[2] if ":" in code else ""
