"""What is asked of statements: a seller's sales and months, and the platform's month; each read at one moment."""

from __future__ import annotations

from datetime import date
from typing import Protocol

from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.sellers import actions as sellers
from gateway.control.sellers.model import Seller, SellerRows
from gateway.control.statements import adding, model, platform
from gateway.control.statements.model import By, Months, Period, Sales, SellerBooks, Statement, bounds
from gateway.control.statements.platform import PlatformBooks, Report
from shared.errors import Invalid
from shared.log import get


class Books(SellerBooks, PlatformBooks, Protocol):
    """Sums of postings."""


class Stores(Protocol):
    """One transaction."""

    @property
    def sellers(self) -> SellerRows: ...
    @property
    def statements(self) -> Books: ...


async def sales(
    handle: str, by: str, *, since: str, until: str, today: date, company: str, caller: Principal, unit: Stores
) -> Sales:
    """A seller's sales between two days (UTC), both included, by day or by title; also of titles they share in.

    Raises NotFound, Forbidden, Invalid.
    """
    seller = await _seller(handle, caller, unit)
    if by not in ("day", "title"):
        raise Invalid("Sales are told by day or by title.", code="by-unknown")
    period = Period(*model.span(since, until, today), company)
    chosen: By = "day" if by == "day" else "title"
    flows = await unit.statements.flows(seller.id, period, by_day=by == "day", by_title=by == "title")
    return adding.sales(flows, chosen)


async def months(handle: str, *, caller: Principal, begin: Begin[Stores]) -> Months:
    """The months of which a seller has statements. Raises NotFound, Forbidden."""
    seller = await _found(handle, caller, begin)
    async with begin() as unit:
        now = await unit.statements.freeze()
        return model.months(await unit.statements.first(seller.id), now)


async def statement(handle: str, month: str, *, company: str, caller: Principal, begin: Begin[Stores]) -> Statement:
    """A seller's month. `company`: the legal entity of what was stamped with none, such as a payout.

    Raises NotFound, Forbidden, Invalid.
    """
    seller = await _found(handle, caller, begin)
    period = Period(*bounds(month), company)
    async with begin() as unit:
        now = await unit.statements.freeze()
        flows = await unit.statements.flows(seller.id, period, by_title=True)
        sums = await unit.statements.sums(seller.id, period)
    made = adding.statement(seller, month, now=now, flows=flows, sums=sums)
    for section in made.sections:
        if section.difference:
            get("statements").error("statement does not add up", seller=seller.id, month=month, by=section.difference)
    return made


async def report(month: str, *, company: str, caller: Principal, begin: Begin[Stores]) -> Report:
    """The platform's month. Raises Forbidden, Invalid."""
    require(caller, "ledger:read")
    period = Period(*bounds(month), company)
    async with begin() as unit:
        now = await unit.statements.freeze()
        return platform.report(
            month,
            is_final=now >= period.until,
            turnover=await unit.statements.turnover(period),
            trial=await unit.statements.trial(period),
            kept=await unit.statements.kept(),
        )


async def _seller(handle: str, caller: Principal, unit: Stores) -> Seller:
    seller = await sellers.read(handle, sellers=unit.sellers)
    require(caller, "earnings:read", seller)
    return seller


async def _found(handle: str, caller: Principal, begin: Begin[Stores]) -> Seller:
    """The seller, in a transaction before the one that sees a single moment."""
    async with begin() as unit:
        return await _seller(handle, caller, unit)
