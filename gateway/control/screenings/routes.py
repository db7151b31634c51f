"""Routes of screenings: the link to play by, the screens in use, and the public keys links are checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.responses import Response

from gateway.control.accounts import actions as accounts
from gateway.control.accounts.model import session_cookies
from gateway.control.auth import Principal
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Title
from gateway.control.entitlements import actions as entitlements
from gateway.control.entitlements.model import Admission
from gateway.control.limits import POLL, READ, WRITE, Limit
from gateway.control.route import Call, Route
from gateway.control.screenings import actions
from gateway.control.screenings.model import Making, Play, PlayOrder, Screens, claims_of, start_end
from gateway.control.watching import actions as watching
from shared import keys
from shared.errors import Unauthenticated
from shared.ids import new_secret
from shared.tokens import Claims

if TYPE_CHECKING:  # the wiring imports the stores of features whose routes import this module
    from gateway.control.wiring import Unit

PLAY = Limit(60)


async def play(call: Call[PlayOrder]) -> Response:
    """A link to play a title by; whoever is not logged in becomes a guest where the title is free."""
    wiring, asked = call.wiring, call.wiring["clock"].epoch()
    sid = await actions.session_of(call.caller, redis=wiring["redis"])
    async with wiring["begin"]() as unit:
        title = await catalogue.find(call.path("title"), by=call.caller, titles=unit.catalogue)
        # From here on nothing of this is ended until the link is made: what is looked at now still holds then.
        ended = await unit.outbox.ended(title=title.id, **({"sub": call.caller.sub} if call.caller else {}))
        title = await catalogue.find(title.id, by=call.caller, titles=unit.catalogue)
        if call.caller is not None and await unit.accounts.is_disabled(call.caller.id):
            raise Unauthenticated("This account was closed just now.")
        now = wiring["clock"].now()
        admission = await entitlements.may_watch(title, call.caller, entitlements=unit.entitlements, now=now)
        actions.allow(admission, call.caller, title)
        viewer, opened = await accounts.ensure_guest(
            call.caller, browser=call.browser(), accounts=unit.accounts, sessions=wiring["sessions"]
        )
        # A second later than what was ended in this one, so that a right given back at once is worth something.
        minted = max(asked, ended + 1)
        claims = await _claims(call, unit, title, viewer=viewer, admission=admission, sid=sid, minted=minted)
        start_s = await watching.begin_at(call.caller, title, watching=unit.watching)
        await actions.note(
            claims,
            viewer,
            title,
            device=call.body.device,
            screenings=unit.screenings,
            outbox=unit.outbox,
            clock=wiring["clock"],
        )
    answer = actions.link(
        title,
        claims,
        start_s=start_s,
        cmcd=await wiring["flags"].flag("qoe.enabled", viewer.sub),
        signer=wiring["signer"],
        cdn=wiring["cdn"],
        settings=wiring["settings"],
    )
    response = Response(
        msgspec.json.encode(answer), headers={"Cache-Control": "no-store"}, media_type="application/json"
    )
    secure = wiring["settings"].public_origin.startswith("https:")
    for cookie in session_cookies(opened, secure=secure) if opened else ():
        response.headers.append("Set-Cookie", cookie)
    return response


async def _claims(
    call: Call[PlayOrder],
    unit: Unit,
    title: Title,
    *,
    viewer: Principal,
    admission: Admission,
    sid: str,
    minted: float,
) -> Claims:
    """What the token says; a right that runs from the first play is told when that is at the latest."""
    settings = call.wiring["settings"]
    sid = await actions.begin(
        admission,
        title,
        viewer,
        sid=sid,
        link_at=start_end(minted, settings),
        entitlements=unit.entitlements,
        outbox=unit.outbox,
        redis=call.wiring["redis"],
    )
    return claims_of(
        title, viewer, sid=sid, jti=new_secret(12), now=minted, right_end=admission.until, settings=settings
    )


async def read_making(call: Call[None]) -> Making:
    """How much of a title can be watched already, for whoever may watch it."""
    async with call.wiring["begin"]() as unit:
        title = await catalogue.find(call.path("title"), by=call.caller, titles=unit.catalogue)
    standings, now = call.wiring["standings"], call.wiring["clock"].now()
    admission = await entitlements.may_see(title, call.caller, standings=standings, now=now)
    actions.allow(admission, call.caller, title)
    async with call.wiring["begin"]() as unit:
        return await actions.making(title, jobs=unit.jobs)


async def list_screens(call: Call[None]) -> Screens:
    """The screens you play on now."""
    held = await actions.held_seats(call.viewer, redis=call.wiring["redis"])
    async with call.wiring["begin"]() as unit:
        return await actions.screens(
            call.viewer,
            held,
            screenings=unit.screenings,
            titles=unit.catalogue,
            logins=unit.accounts,
            clock=call.wiring["clock"],
        )


async def stop_screen(call: Call[None]) -> None:
    """Stop what plays on one of your screens; it is free for another at once."""
    async with call.wiring["begin"]() as unit:
        ended = await actions.stop(call.path("session"), by=call.viewer, screenings=unit.screenings, outbox=unit.outbox)
    await actions.free([ended], reason=actions.STOPPED, seats=call.wiring["seats"])


async def stop_other_screens(call: Call[None]) -> None:
    """Stop what plays on all your screens but this device's."""
    held = await actions.held_seats(call.viewer, redis=call.wiring["redis"])
    others = [seat.sid for seat in held if not call.viewer.device or seat.device != call.viewer.device]
    async with call.wiring["begin"]() as unit:
        ended = await actions.stop_all(others, by=call.viewer, screenings=unit.screenings, outbox=unit.outbox)
    await actions.free(ended, reason=actions.STOPPED, seats=call.wiring["seats"])


async def read_keys(call: Call[None]) -> Response:
    """The public keys of playback tokens (RFC 7517)."""
    document = keys.jwks(call.wiring["signer"].key_set())
    headers = {"Cache-Control": "public, max-age=60"}
    return Response(msgspec.json.encode(document), headers=headers, media_type="application/jwk-set+json")


ROUTES: list[Route] = [
    Route("POST", "/v1/titles/{title}/play", play, limit=PLAY, returns=Play, login=False, problems=(401, 410)),
    Route("GET", "/v1/titles/{title}/making", read_making, limit=POLL, login=False, problems=(401, 403, 410)),
    Route("GET", "/v1/me/sessions", list_screens, limit=READ, login=False, problems=(401,), tag="me"),
    Route("DELETE", "/v1/me/sessions", stop_other_screens, limit=WRITE, login=False, problems=(401,), tag="me"),
    Route("DELETE", "/v1/me/sessions/{session}", stop_screen, limit=WRITE, login=False, problems=(401,), tag="me"),
    Route("GET", "/.well-known/jwks.json", read_keys, limit=POLL, login=False, stream=True),
]
