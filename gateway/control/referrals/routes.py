"""Route of one's referral code."""

from __future__ import annotations

from gateway.control.limits import WRITE
from gateway.control.referrals import actions
from gateway.control.referrals.model import Referral
from gateway.control.route import Call, Route


async def put_referral(call: Call[None]) -> Referral:
    """One's code, made when it is first asked for; it stays the same."""
    async with call.wiring["begin"]() as unit:
        code = await actions.mine(call.principal, referrals=unit.referrals, clock=call.wiring["clock"])
    return Referral(code=code, bp=call.wiring["settings"].referral_bp)


ROUTES: list[Route] = [
    Route("PUT", "/v1/me/referral", put_referral, limit=WRITE, problems=(409,), tag="me"),
]
