"""Deliveries: made of events, of tests and of the dead; read by owners and by the command line."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from gateway.control.auth import Principal
from gateway.control.webhooks.actions.stores import Stores, held
from gateway.control.webhooks.model import KEPT, PAGE, Delivery, Endpoint, Standing, Told, WebhookRows, body_of, told_of
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.events import Envelope
from shared.ids import new_id

NO_DELIVERY = "There is no such delivery."


async def take_in(envelope: Envelope, *, unit: Stores, clock: Clock) -> int:
    """Make the deliveries of an event, one an endpoint that wants it; how many were new. May be called again."""
    told = told_of(envelope)
    if told is None:
        return 0
    data = {**told.data, **({} if told.seller else await _looked_up(told, unit))}
    if not data.get("seller"):
        return 0
    new, now = 0, clock.now()
    body = body_of(told.type, envelope.at, data)
    for endpoint in await unit.webhooks.listening(data["seller"], told.type):
        made = _delivery(endpoint, told.once or envelope.id, told.type, body=body, now=now)
        if await unit.webhooks.add_delivery(made):
            await unit.webhooks.wake(endpoint, now)
            new += 1
    return new


async def test(endpoint: str, *, by: Principal, unit: Stores, clock: Clock) -> Delivery:
    """Send an endpoint a message of type `test`. Raises NotFound, Forbidden, Conflict for one that is off."""
    to = _active(await held(endpoint, by=by, unit=unit, lock=True))
    now = clock.now()
    data: dict[str, Any] = {"endpoint": to.id}
    made = _delivery(to.id, new_id("evt"), "test", body=body_of("test", now, data), now=now)
    await unit.webhooks.add_delivery(made)
    await unit.webhooks.wake(to.id, now)
    return made


async def listed(endpoint: str, *, by: Principal, unit: Stores, state: str, before: str) -> list[Delivery]:
    """A page of an endpoint's deliveries, and one more if there are more. Raises NotFound, Forbidden."""
    await held(endpoint, by=by, unit=unit)
    return await unit.webhooks.deliveries(endpoint, state=state, before=before, count=PAGE + 1)


async def replay_one(id: str, *, endpoint: str, by: Principal, unit: Stores, clock: Clock) -> Delivery:
    """`replay`, for who keeps the endpoint. Raises Forbidden, too."""
    await held(endpoint, by=by, unit=unit)
    found = await unit.webhooks.delivery(id)
    if found is None or found.endpoint != endpoint:
        raise NotFound(NO_DELIVERY)
    return await replay(id, unit=unit, clock=clock)


async def replay(id: str, *, unit: Stores, clock: Clock) -> Delivery:
    """Send a delivery again under its id, with all its tries.

    Raises NotFound, and Conflict for one that waits already or an endpoint that is off.
    """
    known = await unit.webhooks.delivery(id)
    to = await unit.webhooks.find(known.endpoint, lock=True) if known else None
    found = await unit.webhooks.delivery(id)  # as it is, now that its endpoint is held
    if found is None or to is None:
        raise NotFound(NO_DELIVERY)
    _active(to)
    if found.state == "waiting":
        raise Conflict("This delivery waits to be sent already.", code="delivery-waits")
    again = replace(found, state="waiting", attempts=0, due_at=clock.now(), done_at=None)
    await unit.webhooks.put_delivery(again)
    await unit.webhooks.wake(to.id, clock.now())
    return again


async def dead(endpoint: str, count: int, *, webhooks: WebhookRows) -> list[Delivery]:
    """Deliveries that were given up, of all endpoints for an empty id, the newest first."""
    return await webhooks.dead(endpoint, count)


async def standings(*, webhooks: WebhookRows) -> list[Standing]:
    """All endpoints, the platform's first."""
    return await webhooks.standings()


async def waiting(*, webhooks: WebhookRows) -> int:
    """How many deliveries wait."""
    return await webhooks.waiting()


async def sweep(*, webhooks: WebhookRows, clock: Clock) -> None:
    """Forget deliveries that were done with long ago."""
    await webhooks.sweep(clock.now() - KEPT)


async def _looked_up(told: Told, unit: Stores) -> dict[str, Any]:
    """Whose it is, and of which title; nothing of what is no title's, or gone."""
    if (id := told.data.get("title")) is not None:
        title = await unit.catalogue.by_id(id)
        return {"seller": title.seller} if title else {}
    purchase = await unit.purchases.by_id(told.data["purchase"])
    return {"title": purchase.title, "seller": purchase.seller} if purchase else {}


def _delivery(endpoint: str, event: str, type: str, *, body: str, now: datetime) -> Delivery:
    return Delivery(id=new_id("msg"), endpoint=endpoint, event=event, type=type, body=body, due_at=now, created_at=now)


def _active(endpoint: Endpoint) -> Endpoint:
    if not endpoint.active:
        raise Conflict("This endpoint is switched off; switch it on first.", code="endpoint-off")
    return endpoint
