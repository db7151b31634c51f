"""Routes of flags."""

from __future__ import annotations

from gateway.control.flags import actions
from gateway.control.flags.model import AllFlags, Flag, Switching
from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route


async def list_flags(call: Call[None]) -> AllFlags:
    """Every flag as it stands."""
    async with call.wiring["begin"]() as unit:
        return await actions.read_flags(by=call.principal, flags=unit.flags)


async def switch_flag(call: Call[Switching]) -> Flag:
    """Switch a flag; within two seconds everybody sees it."""
    begin = call.wiring["begin"]
    async with begin() as unit:
        flag = await actions.switch(
            call.path("name"),
            call.body,
            by=call.principal,
            place=call.place,
            flags=unit.flags,
            outbox=unit.outbox,
        )
    await actions.copy_all(begin=begin, redis=call.wiring["redis"])
    return flag


ROUTES: list[Route] = [
    Route("GET", "/v1/flags", list_flags, limit=READ, problems=(403,)),
    Route("PUT", "/v1/flags/{name}", switch_flag, limit=WRITE),
]
