"""Route of revocations."""

from __future__ import annotations

from gateway.control.limits import WRITE
from gateway.control.revocations import actions
from gateway.control.revocations.model import Revocation, RevocationOrder
from gateway.control.route import Call, Route
from gateway.control.screenings import actions as screenings


async def revoke_links(call: Call[RevocationOrder]) -> Revocation:
    """End every link that was given for a session, a viewer or a title so far; their rights stay."""
    wiring = call.wiring
    async with wiring["begin"]() as unit:
        revocation, sessions = await actions.revoke(
            call.body,
            by=call.principal,
            place=call.place,
            screenings=unit.screenings,
            titles=unit.catalogue,
            people=unit.accounts,
            principals=unit.entitlements,
            outbox=unit.outbox,
            clock=wiring["clock"],
        )
    await screenings.free(sessions, reason=actions.REVOKED, seats=wiring["seats"])
    return revocation


ROUTES: list[Route] = [
    Route("POST", "/v1/revocations", revoke_links, limit=WRITE, status=201, problems=(404,)),
]
