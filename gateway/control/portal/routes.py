"""Routes of the portal: its settings and its set-up."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from gateway.control.accounts import actions as people
from gateway.control.accounts.model import Me, session_cookies
from gateway.control.limits import AUTH, READ, WRITE
from gateway.control.portal import actions
from gateway.control.portal.model import MAX_BODY_BYTES, Furnishing, Portal, SettingUp
from gateway.control.route import Call, Route


async def read_portal(call: Call[None]) -> Portal:
    """Name, looks, fee and legal texts of this portal."""
    return await call.wiring["portal"].read()


async def change_portal(call: Call[Furnishing]) -> Portal:
    """Change settings of the portal; what is left out stays."""
    async with call.wiring["begin"]() as unit:
        portal = await actions.furnish(
            call.body, by=call.principal, place=call.place, portal=unit.portal, outbox=unit.outbox
        )
    call.wiring["portal"].forget()
    return portal


async def set_up(call: Call[SettingUp]) -> Response:
    """Name the portal and become its first admin, while it has none."""
    wiring = call.wiring
    password_hash = await wiring["passwords"].hash(call.body.password)
    async with wiring["begin"]() as unit:
        opened = await actions.set_up(
            call.body,
            password_hash,
            browser=call.browser(),
            portal=unit.portal,
            accounts=unit.accounts,
            outbox=unit.outbox,
            sessions=wiring["sessions"],
        )
        me = await people.me(opened.principal, accounts=unit.accounts, sellers=unit.sellers)
    wiring["portal"].forget()
    response = Response(msgspec.json.encode(me), 201, {"Cache-Control": "no-store"}, "application/json")
    for cookie in session_cookies(opened, secure=wiring["settings"].public_origin.startswith("https:")):
        response.headers.append("Set-Cookie", cookie)
    return response


ROUTES: list[Route] = [
    Route("GET", "/v1/portal", read_portal, limit=READ, login=False),
    Route("PUT", "/v1/portal", change_portal, limit=WRITE, max_body_bytes=MAX_BODY_BYTES),
    Route("POST", "/v1/setup", set_up, limit=AUTH, login=False, returns=Me, status=201, problems=(409,)),
]
