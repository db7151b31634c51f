"""Routes of accounts: register, log in, oneself, one's devices, roles."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET
from starlette.background import BackgroundTask
from starlette.responses import Response

from gateway.control.accounts import actions
from gateway.control.accounts.model import (
    Account,
    Challenge,
    Changing,
    Devices,
    Forgetting,
    Leaving,
    LoggingIn,
    Me,
    Opened,
    PlatformRole,
    Registering,
    Resetting,
    ending_cookie,
    session_cookies,
)
from gateway.control.limits import AUTH, READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.screenings import actions as screenings
from gateway.control.wiring import Wiring
from shared import log
from shared.errors import NotFound, Unavailable
from shared.ids import new_session_id
from shared.metrics import ERRORS


async def challenge(call: Call[None]) -> Challenge:
    """What register asks of a browser to tell people from programs."""
    return await call.wiring["bots"].challenge()


async def register(call: Call[Registering]) -> Response:
    """Make an account and log it in."""
    wiring = call.wiring
    await wiring["bots"].check(call.body.proof, address=call.address)
    password_hash = await wiring["passwords"].hash(call.body.password)
    async with wiring["begin"]() as unit:
        opened = await actions.register(
            call.body.email,
            call.body.username,
            password_hash,
            browser=call.browser(),
            accounts=unit.accounts,
            outbox=unit.outbox,
            sessions=wiring["sessions"],
        )
        me = await actions.me(opened.principal, accounts=unit.accounts, sellers=unit.sellers)
    return _welcome(call, me, opened, status=201)


async def login(call: Call[LoggingIn]) -> Response:
    """Log in with e-mail or user name; `bearer` gives a token instead of a cookie."""
    wiring, bearer = call.wiring, call.body.bearer
    account = await actions.prove(
        call.body,
        address=call.address,
        begin=wiring["begin"],
        passwords=wiring["passwords"],
        attempts=wiring["attempts"],
    )
    here = call.browser()
    async with wiring["begin"]() as unit:
        opened = await actions.log_in(
            account,
            browser=msgspec.structs.replace(here, device=new_session_id()) if bearer else here,
            replaced=None if bearer else call.caller,
            accounts=unit.accounts,
            outbox=unit.outbox,
            sessions=wiring["sessions"],
        )
        me = await actions.me(opened.principal, accounts=unit.accounts, sellers=unit.sellers)
    if bearer:
        return _json(msgspec.structs.replace(me, bearer_token=opened.signed))
    return _welcome(call, me, opened)


async def logout(call: Call[None]) -> Response:
    """End this session. Whoever is not logged in stays so."""
    if call.caller is not None:
        async with call.wiring["begin"]() as unit:
            await actions.log_out(call.caller, accounts=unit.accounts, outbox=unit.outbox)
    response = Response(status_code=204)
    response.headers.append("Set-Cookie", ending_cookie(secure=_secure(call.wiring)))
    return response


async def forgot(call: Call[Forgetting]) -> Response:
    """Ask for a reset link by mail. The answer is the same whether or not there is such an account."""
    return Response(status_code=202, background=BackgroundTask(_send_reset, call.wiring, call.body.email))


async def reset(call: Call[Resetting]) -> None:
    """Choose a new password with a reset link; all devices are logged out."""
    password_hash = await call.wiring["passwords"].hash(call.body.password)
    async with call.wiring["begin"]() as unit:
        await actions.reset(
            call.body.token,
            password_hash,
            accounts=unit.accounts,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )


async def me(call: Call[None]) -> Me:
    """Who is logged in."""
    async with call.wiring["begin"]() as unit:
        return await actions.me(call.principal, accounts=unit.accounts, sellers=unit.sellers)


async def change_me(call: Call[Changing]) -> Me:
    """Change user name, e-mail or password; the latter two need the current password."""
    asked, wiring, password_hash, proved = call.body, call.wiring, None, None
    async with wiring["begin"]() as unit:
        delicate = await actions.needs_password(call.principal, asked, accounts=unit.accounts)
    if delicate:
        proved = await _confirm(call, asked.current_password)
    if asked.password is not UNSET:
        password_hash = await wiring["passwords"].hash(asked.password)
    async with wiring["begin"]() as unit:
        await actions.change(
            call.principal,
            asked,
            proved=proved,
            password_hash=password_hash,
            accounts=unit.accounts,
            outbox=unit.outbox,
        )
        return await actions.me(call.principal, accounts=unit.accounts, sellers=unit.sellers)


async def delete_me(call: Call[Leaving]) -> Response:
    """Delete one's account and everything that tells who one was."""
    proved = await _confirm(call, call.body.password)
    async with call.wiring["begin"]() as unit:
        await actions.delete(
            call.principal,
            proved=proved,
            accounts=unit.accounts,
            sellers=unit.sellers,
            wallet=unit.wallet,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )
    response = Response(status_code=204)
    response.headers.append("Set-Cookie", ending_cookie(secure=_secure(call.wiring)))
    return response


async def export_me(call: Call[None]) -> Response:
    """Everything stored about oneself, as a file."""
    async with call.wiring["begin"]() as unit:
        data = await actions.export(call.principal, accounts=unit.accounts, sellers=unit.sellers)
    response = _json(data)
    response.headers["Content-Disposition"] = 'attachment; filename="my-data.json"'
    return response


async def list_devices(call: Call[None]) -> Devices:
    """Where one is logged in."""
    async with call.wiring["begin"]() as unit:
        return await actions.devices(call.principal, accounts=unit.accounts, clock=call.wiring["clock"])


async def revoke_device(call: Call[None]) -> None:
    """Log one of one's devices out; what plays there stops."""
    wiring, id = call.wiring, call.path("device")
    held = await screenings.seats_if_known(call.principal, redis=wiring["redis"])
    async with wiring["begin"]() as unit:
        known = await actions.devices(call.principal, accounts=unit.accounts, clock=wiring["clock"])
        there = {device.device for device in known.items if device.id == id}
        await actions.revoke(call.principal, id, accounts=unit.accounts, outbox=unit.outbox)
        playing = [seat.sid for seat in held if seat.device in there]
        ended = await screenings.stop_all(playing, by=call.principal, screenings=unit.screenings, outbox=unit.outbox)
    await screenings.free(ended, reason=screenings.STOPPED, seats=wiring["seats"])


async def give_role(call: Call[None]) -> None:
    """Give an account a role on the whole platform."""
    async with call.wiring["begin"]() as unit:
        await actions.give_role(
            call.path("username"),
            _role(call),
            by=call.principal,
            accounts=unit.accounts,
            outbox=unit.outbox,
        )


async def take_role(call: Call[None]) -> None:
    """Take a role from an account."""
    async with call.wiring["begin"]() as unit:
        await actions.take_role(
            call.path("username"),
            _role(call),
            by=call.principal,
            accounts=unit.accounts,
            outbox=unit.outbox,
        )


async def _confirm(call: Call[Any], password: str) -> Account:
    return await actions.confirm(
        call.principal,
        password,
        address=call.address,
        begin=call.wiring["begin"],
        passwords=call.wiring["passwords"],
        attempts=call.wiring["attempts"],
    )


async def _send_reset(wiring: Wiring, email: str) -> None:
    """After the answer, so that its time does not tell whether there is such an account."""
    try:
        async with wiring["begin"]() as unit:
            await actions.forgot(email, token_of=wiring["sessions"].reset_token, unit=unit, clock=wiring["clock"])
    except Unavailable as error:
        ERRORS.labels("mail").inc()
        log.get("control").error("no reset link was sent", reason=str(error))


def _role(call: Call[None]) -> PlatformRole:
    try:
        return msgspec.convert(call.path("role"), PlatformRole)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise NotFound("There is no such role.") from error


def _welcome(call: Call[Any], me: Me, opened: Opened, *, status: int = 200) -> Response:
    response = _json(me, status)
    for cookie in session_cookies(opened, secure=_secure(call.wiring)):
        response.headers.append("Set-Cookie", cookie)
    return response


def _json(value: Any, status: int = 200) -> Response:
    headers = {"Cache-Control": "no-store"}
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")


def _secure(wiring: Wiring) -> bool:
    return wiring["settings"].public_origin.startswith("https:")


ROUTES: list[Route] = [
    Route("GET", "/v1/auth/challenge", challenge, limit=AUTH, login=False, tag="auth"),
    Route(
        "POST",
        "/v1/auth/register",
        register,
        limit=AUTH,
        login=False,
        returns=Me,
        status=201,
        problems=(409,),
        tag="auth",
    ),
    Route("POST", "/v1/auth/login", login, limit=AUTH, login=False, returns=Me, problems=(401,), tag="auth"),
    Route("POST", "/v1/auth/logout", logout, limit=AUTH, login=False, tag="auth"),
    Route("POST", "/v1/auth/forgot", forgot, limit=AUTH, login=False, status=202, tag="auth"),
    Route("POST", "/v1/auth/reset", reset, limit=AUTH, login=False, problems=(410,), tag="auth"),
    Route("GET", "/v1/me", me, limit=READ, tag="me"),
    Route("PATCH", "/v1/me", change_me, limit=AUTH, problems=(409,), tag="me"),
    Route("DELETE", "/v1/me", delete_me, limit=AUTH, problems=(409,), tag="me"),
    Route("GET", "/v1/me/export", export_me, limit=AUTH, returns=dict[str, Any], tag="me"),
    Route("GET", "/v1/me/devices", list_devices, limit=READ, tag="me"),
    Route("DELETE", "/v1/me/devices/{device}", revoke_device, limit=WRITE, tag="me"),
    Route("PUT", "/v1/accounts/{username}/roles/{role}", give_role, limit=WRITE),
    Route("DELETE", "/v1/accounts/{username}/roles/{role}", take_role, limit=WRITE, problems=(409,)),
]
