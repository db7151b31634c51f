"""What owners do with their endpoints: add, change, remove, give a new secret."""

from __future__ import annotations

from typing import Any

from msgspec import UNSET
from msgspec.structs import replace

from gateway.control.auth import Principal
from gateway.control.sellers import actions as sellers
from gateway.control.webhooks import addresses
from gateway.control.webhooks.actions.stores import Stores, held, may
from gateway.control.webhooks.model import MOST, ROTATION, Change, Endpoint, NewEndpoint, draw_secret
from shared.clock import Clock
from shared.errors import Conflict
from shared.ids import new_id


async def add(new: NewEndpoint, *, by: Principal, place: str, unit: Stores, clock: Clock, loopback: bool) -> Endpoint:
    """A new endpoint with a secret of its own. Raises NotFound, Forbidden, Invalid for a bad address, Conflict."""
    seller = (await sellers.read(new.seller, sellers=unit.sellers)).id if new.seller else None
    may(by, seller)
    addresses.read(new.url, loopback=loopback)
    if len(await unit.webhooks.of(seller)) >= MOST:
        raise Conflict(f"There are {MOST} endpoints already; remove one first.", code="too-many-endpoints")
    endpoint = Endpoint(
        id=new_id("whe"),
        seller=seller,
        url=new.url,
        types=sorted(set(new.types)),
        secret=draw_secret(),
        created_at=clock.now(),
    )
    await unit.webhooks.add(endpoint)
    await unit.outbox.audit(by.id, "webhook:add", endpoint.id, after=_said(endpoint), place=place)
    return endpoint


async def read(handle: str, *, by: Principal, unit: Stores) -> list[Endpoint]:
    """All endpoints of a seller, of the platform for no handle. Raises NotFound, Forbidden."""
    seller = (await sellers.read(handle, sellers=unit.sellers)).id if handle else None
    may(by, seller)
    return await unit.webhooks.of(seller)


async def change(
    id: str, asked: Change, *, by: Principal, place: str, unit: Stores, clock: Clock, loopback: bool
) -> Endpoint:
    """Change an endpoint. Raises NotFound, Forbidden, Invalid."""
    before = await held(id, by=by, unit=unit, lock=True)
    url = before.url if asked.url is UNSET else addresses.read(asked.url, loopback=loopback).url
    types = before.types if asked.types is UNSET else sorted(set(asked.types))
    active = before.active if asked.active is UNSET else asked.active
    after = replace(before, url=url, types=types, active=active)
    if active and not before.active:
        after = replace(after, words="", failing_since=None)
    await unit.webhooks.put(after)
    if before.active and not active:
        await unit.webhooks.give_up(id, "Its endpoint was switched off.", clock.now())
    await unit.outbox.audit(by.id, "webhook:change", id, before=_said(before), after=_said(after), place=place)
    return after


async def remove(id: str, *, by: Principal, place: str, unit: Stores) -> None:
    """Drop an endpoint, with all that waits for it. Raises NotFound, Forbidden."""
    endpoint = await held(id, by=by, unit=unit, lock=True)
    await unit.webhooks.remove(id)
    await unit.outbox.audit(by.id, "webhook:remove", id, before=_said(endpoint), place=place)


async def rotate(id: str, *, by: Principal, place: str, unit: Stores, clock: Clock) -> Endpoint:
    """Give an endpoint a new secret; the one before signs too for a day. Raises NotFound, Forbidden."""
    before = await held(id, by=by, unit=unit, lock=True)
    until = clock.now() + ROTATION
    after = replace(before, secret=draw_secret(), old_secret=before.secret, old_until=until)
    await unit.webhooks.put(after)
    await unit.outbox.audit(by.id, "webhook:rotate", id, place=place)
    return after


def _said(endpoint: Endpoint) -> dict[str, Any]:
    """What is written down of an endpoint; its address may hold a password, so its host alone."""
    host = addresses.read(endpoint.url, loopback=True).host
    return {"host": host, "types": list(endpoint.types), "active": endpoint.active}
