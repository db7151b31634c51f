"""What is done with flags: look, switch, and copy them to Redis, where everybody reads them."""

from __future__ import annotations

from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.flags.model import AllFlags, Flag, FlagRows, Switching
from gateway.control.outbox import Outbox
from shared import flags as shared_flags
from shared.errors import NotFound, Unavailable
from shared.flags import State


class Stores(Protocol):
    """The part of a transaction that copying needs."""

    @property
    def flags(self) -> FlagRows: ...


async def read_flags(*, by: Principal, flags: FlagRows) -> AllFlags:
    """Every flag as it stands."""
    require(by, "flag:read")
    return AllFlags(await flags.all())


async def switch(name: str, asked: Switching, *, by: Principal, place: str, flags: FlagRows, outbox: Outbox) -> Flag:
    """Switch a flag; `copy_all` after the transaction makes it seen. Raises NotFound."""
    require(by, "flag:write")
    before = await flags.lock(name)
    if before is None:
        raise NotFound("There is no such flag.")
    return await set_flag(
        before, State(asked.enabled, asked.percent), actor=by.id, place=place, flags=flags, outbox=outbox
    )


async def set_flag(before: Flag, state: State, *, actor: str, place: str = "", flags: FlagRows, outbox: Outbox) -> Flag:
    """Switch a locked flag, told and audited; the command line does so as `system`."""
    await flags.write(before.name, state)
    await outbox.emit("flag.changed", before.name, flag=before.name, enabled=state.enabled, percent=state.percent)
    await outbox.audit(
        actor, "flag.switch", before.name, before=State(before.enabled, before.percent), after=state, place=place
    )
    return Flag(before.name, state.enabled, state.percent, before.meaning)


async def copy_all(*, begin: Begin[Stores], redis: Redis) -> None:
    """Write all flags to Redis, at a switch and at the worker's start.

    fails="closed": raises Unavailable, so that whoever switches knows it is not seen yet; asking again copies again.
    """
    async with begin() as unit:
        states = {flag.name: State(flag.enabled, flag.percent) for flag in await unit.flags.all()}
    try:
        await shared_flags.copy(redis, states)
    except (RedisError, OSError) as error:
        raise Unavailable("The flag is stored, but Redis did not answer, so nobody sees it yet; try again.") from error
