"""Routes of the sandbox's pay page. Whoever has its address may pay, as at any provider; no real money moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.sandbox import actions, model
from gateway.control.sandbox.model import NAME, Answering, Page, Paying, Payment


async def read_sandbox_payment(call: Call[None]) -> Page:
    """A payment at the sandbox, as its pay page shows it."""
    call.wiring["providers"].named(NAME)
    async with call.wiring["begin"]() as unit:
        return model.page_of(await actions.find(call.path("ref"), sandbox=unit.sandbox))


async def pay_at_sandbox(call: Call[Paying]) -> Page:
    """Pay with a test card."""
    now = call.wiring["clock"].now()
    return await _change(call, lambda payment: model.paid_with(payment, call.body.number, now))


async def answer_sandbox(call: Call[Answering]) -> Page:
    """Answer the question of the sandbox's bank (3-D Secure)."""
    return await _change(call, lambda payment: model.answered(payment, passed=call.body.passed))


async def leave_sandbox(call: Call[None]) -> Page:
    """Give up paying."""
    return await _change(call, model.left)


async def _change(call: Call[Any], how: Callable[[Payment], Payment]) -> Page:
    wiring = call.wiring
    wiring["providers"].named(NAME)
    async with wiring["begin"]() as unit:
        payment = await actions.change(call.path("ref"), how, sandbox=unit.sandbox, clock=wiring["clock"])
    return model.page_of(payment)


PATH = "/v1/sandbox/payments/{ref}"
ROUTES: list[Route] = [
    Route("GET", PATH, read_sandbox_payment, limit=READ, login=False, tag="sandbox"),
    Route("POST", f"{PATH}/card", pay_at_sandbox, limit=WRITE, login=False, tag="sandbox", problems=(409,)),
    Route("POST", f"{PATH}/answer", answer_sandbox, limit=WRITE, login=False, tag="sandbox", problems=(409,)),
    Route("POST", f"{PATH}/leave", leave_sandbox, limit=WRITE, login=False, tag="sandbox", problems=(409,)),
]
