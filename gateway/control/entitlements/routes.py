"""Routes of rights: whom a seller lets in."""

from __future__ import annotations

from gateway.control.entitlements import actions
from gateway.control.entitlements.model import Viewers
from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route


async def list_viewers(call: Call[None]) -> Viewers:
    """Who may watch a title because its seller let them in."""
    async with call.wiring["begin"]() as unit:
        items = await actions.list_viewers(
            call.path("title"), by=call.principal, titles=unit.catalogue, entitlements=unit.entitlements
        )
    return Viewers(items)


async def put_viewer(call: Call[None]) -> None:
    """Let an account watch a title."""
    async with call.wiring["begin"]() as unit:
        await actions.grant(
            call.path("title"),
            call.path("username"),
            by=call.principal,
            titles=unit.catalogue,
            entitlements=unit.entitlements,
            people=unit.accounts,
            outbox=unit.outbox,
        )


async def delete_viewer(call: Call[None]) -> None:
    """Take that right away; what plays by it ends."""
    async with call.wiring["begin"]() as unit:
        await actions.revoke(
            call.path("title"),
            call.path("username"),
            by=call.principal,
            titles=unit.catalogue,
            entitlements=unit.entitlements,
            people=unit.accounts,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )


ROUTES: list[Route] = [
    Route(
        method="GET",
        path="/v1/titles/{title}/viewers",
        handler=list_viewers,
        limit=READ,
        returns=Viewers,
        problems=(403,),
    ),
    Route(method="PUT", path="/v1/titles/{title}/viewers/{username}", handler=put_viewer, limit=WRITE),
    Route(method="DELETE", path="/v1/titles/{title}/viewers/{username}", handler=delete_viewer, limit=WRITE),
]
