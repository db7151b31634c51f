"""What is done with referral codes: get one's own, and find who brought a buyer."""

from __future__ import annotations

from collections.abc import Callable, Collection

from gateway.control.auth import Principal
from gateway.control.entitlements.model import Entitlements
from gateway.control.referrals.model import LENGTH, ReferralRows
from shared.clock import Clock
from shared.errors import Conflict
from shared.ids import draw_short_id, fold_short_id

#: Draws until a code is free; each is taken with a chance of less than one in a million for a million codes.
TRIES = 20


async def mine(
    by: Principal, *, referrals: ReferralRows, clock: Clock, draw: Callable[[int], str] = draw_short_id
) -> str:
    """One's code, drawn when it is first asked for."""
    for _ in range(TRIES):
        found = await referrals.code_of(by.id)
        if found is not None:
            return found
        await referrals.add(by.id, draw(LENGTH), clock.now())
    raise Conflict("No free code was found; try again.")


async def referrer(
    code: str,
    *,
    buyer: Principal,
    viewer: Principal,
    sellers: Collection[str],
    referrals: ReferralRows,
    entitlements: Entitlements,
) -> str | None:
    """Who brought `buyer` and is paid for it: nobody for a wrong code, one's own, or one of who has something of it.

    Those are `viewer`, who is given it, and who works for one of `sellers`, who share in it. A wrong code never keeps
    anybody from buying.
    """
    found = await referrals.owner(fold_short_id(code)) if code else None
    if found is None or found in (buyer.id, viewer.id) or await entitlements.works_for(found, sellers):
        return None
    return found
