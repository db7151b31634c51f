"""Routes of wallets and earnings: balances by GET and as a stream, history, transfers, withdrawals and who decides."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import Response

from gateway.control.limits import READ, WRITE
from gateway.control.paging import page_size
from gateway.control.route import Call, Route
from gateway.control.wallet import actions
from gateway.control.wallet.model import (
    Display,
    DisplayOrder,
    Earnings,
    History,
    Transfer,
    TransferOrder,
    Wallet,
)
from gateway.control.wallet.withdrawals import (
    PaidOut,
    Policies,
    Policy,
    Rejection,
    Withdrawal,
    WithdrawalOrder,
    Withdrawals,
)


async def read_wallet(call: Call[None]) -> Wallet:
    """What one has, by currency, and about how much that is in the currency one reads."""
    async with call.wiring["begin"]() as unit:
        return await actions.read_wallet(call.principal, wallet=unit.wallet, default=_display(call))


async def follow_wallet(call: Call[None]) -> Response:
    """Server-sent events: one's wallet whenever it changes."""
    streams, about = call.wiring["streams"], call.request.url.path
    return await streams.follow("balance", partial(read_wallet, call), by=call.principal.id, about=about)


async def put_display(call: Call[DisplayOrder]) -> Display:
    """Choose the currency in which amounts are told besides their own."""
    async with call.wiring["begin"]() as unit:
        return await actions.choose_display(
            call.body.currency, by=call.principal, wallet=unit.wallet, default=_display(call)
        )


async def list_payments(call: Call[None]) -> History:
    """What one paid and got, the newest first."""
    limit = page_size(call.query("limit"))
    async with call.wiring["begin"]() as unit:
        return await actions.history(
            call.principal, wallet=unit.wallet, default=_display(call), cursor=call.query("cursor"), limit=limit
        )


async def send_transfer(call: Call[TransferOrder]) -> Transfer:
    """Give money of one's wallet to another account."""
    unit = await call.unit()
    return await actions.transfer(
        call.body,
        by=call.principal,
        key=call.key,
        unit=unit,
        clock=call.wiring["clock"],
        legal_entity=call.wiring["settings"].legal_entity,
    )


async def read_earnings(call: Call[None]) -> Earnings:
    """A seller's money: pending, available, on its way out, owed."""
    async with call.wiring["begin"]() as unit:
        return await actions.read_earnings(call.path("handle"), by=call.principal, unit=unit, default=_display(call))


async def follow_earnings(call: Call[None]) -> Response:
    """Server-sent events: a seller's money whenever it changes."""
    streams, about = call.wiring["streams"], call.request.url.path
    return await streams.follow("balance", partial(read_earnings, call), by=call.principal.id, about=about)


async def withdraw_earnings(call: Call[WithdrawalOrder]) -> Withdrawal:
    """Take available earnings out."""
    unit = await call.unit()
    return await actions.withdraw(
        call.path("handle"),
        call.body,
        by=call.principal,
        key=call.key,
        unit=unit,
        clock=call.wiring["clock"],
        hold_days=call.wiring["settings"].payout_hold_days,
        legal_entity=call.wiring["settings"].legal_entity,
        payers=call.wiring["providers"].payers,
    )


async def list_withdrawals(call: Call[None]) -> Withdrawals:
    """A seller's withdrawals, the newest first."""
    async with call.wiring["begin"]() as unit:
        return Withdrawals(items=await actions.of_seller(call.path("handle"), by=call.principal, unit=unit))


async def list_terms(call: Call[None]) -> Policies:
    """On which terms a seller is paid out."""
    hold_days = call.wiring["settings"].payout_hold_days
    async with call.wiring["begin"]() as unit:
        return Policies(await actions.terms(call.path("handle"), by=call.principal, unit=unit, hold_days=hold_days))


async def list_waiting_withdrawals(call: Call[None]) -> Withdrawals:
    """Withdrawals that are to be decided or paid, the oldest first."""
    async with call.wiring["begin"]() as unit:
        return await actions.waiting(by=call.principal, unit=unit)


async def approve_withdrawal(call: Call[None]) -> Withdrawal:
    """Let a withdrawal be paid once its days have passed."""
    unit = await call.unit()
    return await actions.approve(call.path("withdrawal"), by=call.principal, unit=unit, clock=call.wiring["clock"])


async def reject_withdrawal(call: Call[Rejection]) -> Withdrawal:
    """Return a withdrawal to the seller's available earnings."""
    unit = await call.unit()
    return await actions.reject(
        call.path("withdrawal"),
        call.body,
        by=call.principal,
        unit=unit,
        clock=call.wiring["clock"],
        payers=call.wiring["providers"].payers,
    )


async def complete_withdrawal(call: Call[PaidOut]) -> Withdrawal:
    """Say that a withdrawal was paid, and how the rail calls that."""
    unit = await call.unit()
    return await actions.complete(
        call.path("withdrawal"),
        call.body.rail_ref,
        by=call.principal,
        unit=unit,
        clock=call.wiring["clock"],
        payers=call.wiring["providers"].payers,
    )


async def list_policies(call: Call[None]) -> Policies:
    """On which terms rails pay out, where that was set."""
    async with call.wiring["begin"]() as unit:
        return Policies(await actions.policies(by=call.principal, wallet=unit.wallet))


async def put_policy(call: Call[Policy]) -> Policy:
    """Set on which terms a rail pays out in a currency."""
    async with call.wiring["begin"]() as unit:
        return await actions.set_policy(call.body, by=call.principal, unit=unit, clock=call.wiring["clock"])


def _display(call: Call[Any]) -> str:
    return call.wiring["settings"].display_currency


SELLER, WITHDRAWAL = "/v1/sellers/{handle}", "/v1/withdrawals/{withdrawal}"
PAGED = {"cursor": "where the page before ended", "limit": "items a page, 1 to 100"}
ROUTES: list[Route] = [
    Route("GET", "/v1/wallet", read_wallet, limit=READ),
    Route("GET", "/v1/wallet/events", follow_wallet, limit=READ, stream=True),
    Route("PUT", "/v1/wallet/display", put_display, limit=WRITE),
    Route("GET", "/v1/payments/history", list_payments, limit=READ, query=PAGED),
    Route(
        "POST",
        "/v1/wallet/transfers",
        send_transfer,
        limit=WRITE,
        status=201,
        tag="value",
        idempotent=True,
        problems=(404,),
    ),
    Route("GET", f"{SELLER}/earnings", read_earnings, limit=READ, problems=(403,)),
    Route("GET", f"{SELLER}/earnings/events", follow_earnings, limit=READ, stream=True, problems=(403,)),
    Route("POST", f"{SELLER}/withdrawals", withdraw_earnings, limit=WRITE, status=201, tag="value", idempotent=True),
    Route("GET", f"{SELLER}/withdrawals", list_withdrawals, limit=READ, problems=(403,)),
    Route("GET", f"{SELLER}/payout-terms", list_terms, limit=READ, problems=(403,)),
    Route("GET", "/v1/withdrawals", list_waiting_withdrawals, limit=READ, problems=(403,)),
    Route("POST", f"{WITHDRAWAL}/approve", approve_withdrawal, limit=WRITE, tag="value", idempotent=True),
    Route("POST", f"{WITHDRAWAL}/reject", reject_withdrawal, limit=WRITE, tag="value", idempotent=True),
    Route("POST", f"{WITHDRAWAL}/complete", complete_withdrawal, limit=WRITE, tag="value", idempotent=True),
    Route("GET", "/v1/policies", list_policies, limit=READ, problems=(403,)),
    Route("PUT", "/v1/policies", put_policy, limit=WRITE),
]
