"""A market for tests: routes that write value asked with a key, rights given as a sale gives them, money in wallets."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx2

from gateway.control.entitlements import actions as entitlements
from gateway.control.entitlements.model import NewRight, Term
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Leg, Movement
from gateway.control.outbox import EVENT
from gateway.control.worker import relay
from shared.ids import new_id
from tests.support.calls import call
from tests.support.control import Control


async def ask(
    http: httpx2.AsyncClient, method: str, path: str, status: int = 200, *, key: str = "", **body: Any
) -> Any:
    """One call of a route that writes value, under a key of its own unless one is given; the decoded answer."""
    return await call(http, method, path, status, body=body or None, key=key)


async def sell(control: Control, principal: str, scope: str, term: Term = "own", **about: Any) -> str:
    """A right as a purchase gives it; its source."""
    source = about.pop("source", None) or new_id("pur")
    right = NewRight(principal=principal, scope=scope, source=source, term=term, **about)
    async with control.wiring["begin"]() as unit:
        await entitlements.give(right, entitlements=unit.entitlements, outbox=unit.outbox, clock=control.clock)
    return source


async def fund(control: Control, principal: str, amount: int, currency: str = "USD") -> None:
    """Money from outside into a wallet."""
    legs = [Leg("cash:bank", currency, -amount), Leg(f"wallet:{principal}", currency, amount)]
    async with control.wiring["begin"]() as unit:
        await ledger.post(Movement(key=new_id("fnd"), kind="top-up", legs=legs), ledger=unit.ledger)


async def balance(control: Control, account: str, currency: str = "USD") -> int:
    """What an account holds."""
    async with control.wiring["begin"]() as unit:
        return (await ledger.balance(account, currency, ledger=unit.ledger)).balance


async def tell(control: Control) -> None:
    """Let all events that wait leave, as the worker does."""
    deliver = partial(relay.deliver_events, redis=control.wiring["events"])
    while await relay.relay(EVENT, deliver, begin=control.wiring["begin"]):
        pass
