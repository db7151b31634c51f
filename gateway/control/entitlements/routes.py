"""Routes of rights: whom a seller lets in, and whom it serves no more."""

from __future__ import annotations

from gateway.control.entitlements import actions
from gateway.control.entitlements.model import Viewers
from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.sellers import actions as sellers


async def list_viewers(call: Call[None]) -> Viewers:
    """Who may watch a title because its seller let them in."""
    async with call.wiring["begin"]() as unit:
        items = await actions.list_viewers(
            call.path("title"), by=call.principal, titles=unit.catalogue, entitlements=unit.entitlements
        )
    return Viewers(items)


async def put_viewer(call: Call[None]) -> None:
    """Let an account watch a title."""
    unit = await call.unit()
    await actions.grant(call.path("title"), call.path("username"), by=call.principal, unit=unit)


async def delete_viewer(call: Call[None]) -> None:
    """Take that right away; what plays by it ends."""
    unit = await call.unit()
    await actions.revoke(
        call.path("title"), call.path("username"), by=call.principal, unit=unit, clock=call.wiring["clock"]
    )


async def list_blocked(call: Call[None]) -> Viewers:
    """Whom a seller serves no more."""
    async with call.wiring["begin"]() as unit:
        seller = await sellers.read(call.path("handle"), sellers=unit.sellers)
        return Viewers(await actions.list_blocked(seller, by=call.principal, entitlements=unit.entitlements))


async def block_viewer(call: Call[None]) -> None:
    """Serve an account no more: it buys and watches nothing of this seller."""
    async with call.wiring["begin"]() as unit:
        seller = await sellers.read(call.path("handle"), sellers=unit.sellers)
        await actions.block(seller, call.path("username"), by=call.principal, unit=unit, clock=call.wiring["clock"])


async def unblock_viewer(call: Call[None]) -> None:
    """Serve an account again."""
    async with call.wiring["begin"]() as unit:
        seller = await sellers.read(call.path("handle"), sellers=unit.sellers)
        await actions.unblock(seller, call.path("username"), by=call.principal, unit=unit)


ROUTES: list[Route] = [
    Route("GET", "/v1/titles/{title}/viewers", list_viewers, limit=READ, problems=(403,)),
    Route("PUT", "/v1/titles/{title}/viewers/{username}", put_viewer, limit=WRITE, idempotent=True),
    Route("DELETE", "/v1/titles/{title}/viewers/{username}", delete_viewer, limit=WRITE, idempotent=True),
    Route("GET", "/v1/sellers/{handle}/blocked", list_blocked, limit=READ, problems=(403,)),
    Route("PUT", "/v1/sellers/{handle}/blocked/{username}", block_viewer, limit=WRITE, problems=(409,)),
    Route("DELETE", "/v1/sellers/{handle}/blocked/{username}", unblock_viewer, limit=WRITE),
]
