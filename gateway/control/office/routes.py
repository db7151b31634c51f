"""Routes of the office: accounts, payments and refunds of everybody."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.control.catalogue import actions as catalogue
from gateway.control.checkout.model import RefundState, State
from gateway.control.limits import READ, WRITE
from gateway.control.office import actions
from gateway.control.office.model import BookedPayment, Payments, Refunds, ShuttingOut, Users, UserView, Wanted
from gateway.control.paging import EVER, decode_cursor, encode_cursor, moment_of, one_of, page_size
from gateway.control.route import Call, Route


async def list_users(call: Call[None]) -> Users:
    """Accounts by name, those whose name begins with `q`."""
    limit = page_size(call.query("limit"))
    async with call.wiring["begin"]() as unit:
        items, place = await actions.users(
            call.query("q"), by=call.principal, cursor=call.query("cursor"), limit=limit, office=unit.office
        )
    return Users(items, place)


async def read_user(call: Call[None]) -> UserView:
    """An account: its roles, sellers, purchases and wallet, and whether it is shut out."""
    async with call.wiring["begin"]() as unit:
        return await actions.user(call.path("username"), by=call.principal, unit=unit, **_shown(call))


async def disable_user(call: Call[ShuttingOut]) -> UserView:
    """Shut an account out: it is logged out everywhere, and what it plays ends."""
    async with call.wiring["begin"]() as unit:
        return await actions.disable(
            call.path("username"),
            call.body.reason,
            by=call.principal,
            place=call.place,
            unit=unit,
            **_shown(call),
        )


async def enable_user(call: Call[None]) -> UserView:
    """Let an account in again."""
    async with call.wiring["begin"]() as unit:
        return await actions.enable(
            call.path("username"), by=call.principal, place=call.place, unit=unit, **_shown(call)
        )


async def list_all_payments(call: Call[None]) -> Payments:
    """Purchases and top-ups of everybody, the newest first."""
    after, limit, wanted = decode_cursor(call.query("cursor")), page_size(call.query("limit")), _wanted(call)
    async with call.wiring["begin"]() as unit:
        if wanted.title is not None:
            title = await catalogue.find(wanted.title, by=call.principal, titles=unit.catalogue)
            wanted = msgspec.structs.replace(wanted, title=title.id)
        items, place = await actions.payments(wanted, by=call.principal, after=after, limit=limit, unit=unit)
    return Payments(items, encode_cursor(place) if place else None)


async def read_any_payment(call: Call[None]) -> BookedPayment:
    """A payment with its parts, its refunds and all that was booked for it."""
    async with call.wiring["begin"]() as unit:
        return await actions.payment(call.path("payment"), by=call.principal, office=unit.office)


async def list_refunds(call: Call[None]) -> Refunds:
    """Refunds of everybody, the newest first; `failed` ones need a person."""
    after, limit = decode_cursor(call.query("cursor")), page_size(call.query("limit"))
    state = one_of("state", call.query("state"), RefundState)
    async with call.wiring["begin"]() as unit:
        items, place = await actions.refunds(state, by=call.principal, after=after, limit=limit, office=unit.office)
    return Refunds(items, encode_cursor(place) if place else None)


def _shown(call: Call[Any]) -> dict[str, Any]:
    return {"clock": call.wiring["clock"], "display": call.wiring["settings"].display_currency}


def _wanted(call: Call[None]) -> Wanted:
    return Wanted(
        state=one_of("state", call.query("state"), State),
        rail=call.query("rail") or None,
        title=call.query("title") or None,
        buyer=call.query("buyer") or None,
        since=moment_of("since", call.query("since"), EVER[0]),
        until=moment_of("until", call.query("until"), EVER[1]),
    )


PAGED = {"cursor": "`next` of the page before", "limit": "items a page, 1 to 100"}
USER = "/v1/admin/users/{username}"
ROUTES: list[Route] = [
    Route(
        "GET",
        "/v1/admin/users",
        list_users,
        limit=READ,
        query={"q": "how the user name begins", **PAGED},
        problems=(403,),
    ),
    Route("GET", USER, read_user, limit=READ, problems=(403,)),
    Route("PUT", f"{USER}/disabled", disable_user, limit=WRITE, problems=(409,)),
    Route("DELETE", f"{USER}/disabled", enable_user, limit=WRITE),
    Route(
        "GET",
        "/v1/admin/payments",
        list_all_payments,
        limit=READ,
        query={
            "state": "new, authorized, paid, refunded, disputed, failed or expired",
            "rail": "wallet, or a provider's name",
            "title": "id or short id",
            "buyer": "user name or id",
            "since": "a day or a moment by ISO 8601 from which on",
            "until": "a day or a moment by ISO 8601 before which",
            **PAGED,
        },
        problems=(403, 404),
    ),
    Route("GET", "/v1/admin/payments/{payment}", read_any_payment, limit=READ, problems=(403,)),
    Route(
        "GET",
        "/v1/admin/refunds",
        list_refunds,
        limit=READ,
        query={"state": "asked, done or failed", **PAGED},
        problems=(403,),
    ),
]
