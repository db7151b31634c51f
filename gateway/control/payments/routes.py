"""Routes of payments: where providers send their webhooks."""

from __future__ import annotations

from gateway.control.limits import Limit
from gateway.control.payments import actions
from gateway.control.payments.model import MAX_WEBHOOK_BYTES
from gateway.control.route import Call, Route
from shared.errors import TooLarge

#: Providers send from few addresses, and again what was refused.
WEBHOOKS = Limit(3000)


async def take_webhook(call: Call[None]) -> None:
    """Take in what a payment provider tells; its signature is checked, and what it says is asked for anew."""
    provider = call.wiring["providers"].named(call.path("provider"))
    body = await _body(call)
    headers = {name.lower(): value for name, value in call.request.headers.items()}
    await actions.receive(provider, headers, body, begin=call.wiring["begin"], clock=call.wiring["clock"])


async def _body(call: Call[None]) -> bytes:
    """The raw body, not read past the limit."""
    too_large = TooLarge(f"A webhook has at most {MAX_WEBHOOK_BYTES} bytes.")
    length = call.request.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length) > MAX_WEBHOOK_BYTES:
        raise too_large
    body = bytearray()
    async for piece in call.request.stream():
        body += piece
        if len(body) > MAX_WEBHOOK_BYTES:
            raise too_large
    return bytes(body)


ROUTES: list[Route] = [
    Route(
        "POST",
        "/v1/webhooks/{provider}",
        take_webhook,
        limit=WEBHOOKS,
        login=False,
        stream=True,
        status=204,
        tag="payments",
        problems=(400, 413),
    ),
]
