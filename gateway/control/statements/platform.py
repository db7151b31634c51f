"""The platform's month, by legal entity and currency, and whether it is what the ledger keeps. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from gateway.control.statements.model import MOVED, STANDING, Period
from shared.money import to_json

#: Accounts on which money comes in and goes back, besides the payer's wallet.
TILLS = frozenset({"cash", "rail_fee", "refunds_clearing"})
#: Kinds of movements in which a payer's wallet loses; in those that give back it gains.
PAYING = frozenset({"sale", "dispute-won"})

#: Movements that put money onto wallets, and take it back, of no seller.
TOPPING = frozenset({"top-up", "refund", "dispute", "dispute-won"})


class Turnover(msgspec.Struct, frozen=True, kw_only=True):
    """What movements of one kind did to one kind of account. `is_sold`: of a seller, else for instance a top-up."""

    legal_entity: str
    currency: str
    kind: str
    account: str
    is_sold: bool
    is_gain: bool
    txns: int
    amount: int


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of account: before the month, at its end, and now."""

    legal_entity: str
    currency: str
    account: str
    opening: int
    closing: int
    now: int


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What the rows of one kind of account say now."""

    currency: str
    account: str
    balance: int


class ReportLine(msgspec.Struct, frozen=True, kw_only=True):
    """A month of one legal entity in one currency.

    `gross`, `refunds`, `chargebacks`: of titles; `top_ups`: onto wallets, less what was taken back of them; `fees`: the
    platform's, less what it gave back; `rail_fees`: what rails kept; `external`: paid to sellers at once by a rail.
    `held`: what sellers had at its end, pending, available or on its way; `owed`: what was owed then; `wallets`: what
    lay on wallets. `difference`: what all accounts together have above zero, so 0.
    """

    legal_entity: str
    currency: str
    purchases: int
    gross: int | str
    refunds: int | str
    chargebacks: int | str
    top_ups: int | str
    fees: int | str
    rail_fees: int | str
    external: int | str
    payouts: int | str
    held: int | str
    owed: int | str
    wallets: int | str
    difference: int | str


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Sellers' money in one currency as their accounts keep it now, and as all postings say."""

    currency: str
    kept: int | str
    derived: int | str
    difference: int | str


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """The platform's month (UTC), `2026-11`; `is_final`: it is over. `is_balanced`: no line and no check differs."""

    month: str
    is_final: bool
    is_balanced: bool
    items: list[ReportLine]
    checks: list[Check]


class PlatformBooks(Protocol):
    """What the actions ask of storage."""

    async def freeze(self) -> datetime: ...
    async def turnover(self, period: Period) -> list[Turnover]: ...
    async def trial(self, period: Period) -> list[Trial]: ...
    async def kept(self) -> list[Kept]: ...


def report(
    month: str, *, is_final: bool, turnover: Sequence[Turnover], trial: Sequence[Trial], kept: Sequence[Kept]
) -> Report:
    """The month, from what was read at one moment."""
    keys = sorted({(one.legal_entity, one.currency) for one in trial})
    items = [
        _line(
            key,
            [one for one in turnover if (one.legal_entity, one.currency) == key],
            [one for one in trial if (one.legal_entity, one.currency) == key],
        )
        for key in keys
    ]
    checks = [_check(currency, trial, kept) for currency in sorted({currency for _, currency in keys})]
    return Report(
        month=month,
        is_final=is_final,
        is_balanced=not any([one.difference for one in items] + [one.difference for one in checks]),
        items=items,
        checks=checks,
    )


def _line(key: tuple[str, str], moved: Sequence[Turnover], trial: Sequence[Trial]) -> ReportLine:
    closing = {one.account: one.closing for one in trial}
    sold = [one for one in moved if one.is_sold]
    return ReportLine(
        legal_entity=key[0],
        currency=key[1],
        purchases=_sales(sold),
        gross=to_json(_paid(sold, "sale")),
        refunds=to_json(-_paid(sold, "refund")),
        chargebacks=to_json(-_paid(sold, "dispute") - _paid(sold, "dispute-won")),
        top_ups=to_json(
            sum(one.amount for one in moved if not one.is_sold and one.kind in TOPPING and _is_wallet(one))
        ),
        fees=to_json(_on(moved, "platform_fee")),
        rail_fees=to_json(-_on(moved, "rail_fee")),
        external=to_json(_on(moved, "external")),
        payouts=to_json(-_on([one for one in moved if MOVED.get(one.kind) == "payouts"], "payout_in_transit")),
        held=to_json(sum(closing.get(name, 0) for name in STANDING if name != "receivable")),
        owed=to_json(-closing.get("receivable", 0)),
        wallets=to_json(closing.get("wallet", 0)),
        difference=to_json(sum(closing.values())),
    )


def _is_wallet(one: Turnover) -> bool:
    # What a wallet has not got any more is owed.
    return one.account in ("wallet", "receivable")


def _paid(moved: Iterable[Turnover], kind: str) -> int:
    """What payers paid in movements of one kind; below zero what they got back."""
    return -sum(
        one.amount
        for one in moved
        if one.kind == kind and (one.account in TILLS or (one.account == "wallet" and one.is_gain != (kind in PAYING)))
    )


def _sales(moved: Iterable[Turnover]) -> int:
    return sum(
        one.txns for one in moved if one.kind == "sale" and not one.is_gain and one.account in ("cash", "wallet")
    )


def _on(moved: Iterable[Turnover], account: str) -> int:
    return sum(one.amount for one in moved if one.account == account)


def _check(currency: str, trial: Iterable[Trial], kept: Iterable[Kept]) -> Check:
    derived = sum(one.now for one in trial if one.currency == currency and one.account in STANDING)
    said = sum(one.balance for one in kept if one.currency == currency)
    return Check(currency=currency, kept=to_json(said), derived=to_json(derived), difference=to_json(said - derived))
