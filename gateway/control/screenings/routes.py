"""Routes of screenings: the link to play by, and the public keys it is checked with."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from gateway.control.accounts import actions as accounts
from gateway.control.accounts.model import DEVICE_COOKIE, browser, session_cookies
from gateway.control.catalogue import actions as catalogue
from gateway.control.limits import POLL, Limit
from gateway.control.route import Call, Route
from gateway.control.screenings import actions
from gateway.control.screenings.model import Play, PlayOrder
from shared import keys

PLAY = Limit(60)


async def play(call: Call[PlayOrder]) -> Response:
    """A link to play a title by; whoever is not logged in becomes a guest where the title is free."""
    wiring, request = call.wiring, call.request
    now = wiring["clock"].epoch()
    async with wiring["begin"]() as unit:
        title = await catalogue.find(call.path("title"), by=call.caller, titles=unit.catalogue)
        right_end = await actions.allow(title, call.caller, entitlements=unit.entitlements, clock=wiring["clock"])
        viewer, opened = await accounts.ensure_guest(
            call.caller,
            browser=browser(request.cookies.get(DEVICE_COOKIE, ""), request.headers.get("user-agent", ""), call.place),
            accounts=unit.accounts,
            sessions=wiring["sessions"],
        )
    sid = await actions.session_of(viewer, redis=wiring["redis"])
    answer = actions.link(
        title,
        viewer,
        sid=sid,
        right_end=right_end,
        signer=wiring["signer"],
        cdn=wiring["cdn"],
        settings=wiring["settings"],
        now=now,
    )
    async with wiring["begin"]() as unit:
        await unit.outbox.emit("playback.granted", sid, sid=sid, title=title.id, sub=viewer.sub)
    response = Response(
        msgspec.json.encode(answer), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )
    for cookie in (
        session_cookies(opened, secure=wiring["settings"].public_origin.startswith("https:")) if opened else ()
    ):
        response.headers.append("Set-Cookie", cookie)
    return response


async def read_keys(call: Call[None]) -> Response:
    """The public keys of playback tokens (RFC 7517)."""
    document = keys.jwks(call.wiring["signer"].key_set())
    headers = {"Cache-Control": "public, max-age=60"}
    return Response(msgspec.json.encode(document), headers=headers, media_type="application/jwk-set+json")


ROUTES: list[Route] = [
    Route(
        method="POST",
        path="/v1/titles/{title}/play",
        handler=play,
        limit=PLAY,
        body=PlayOrder,
        returns=Play,
        login=False,
        problems=(401, 403, 410),
    ),
    Route(method="GET", path="/.well-known/jwks.json", handler=read_keys, limit=POLL, login=False, stream=True),
]
