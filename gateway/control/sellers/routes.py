"""Routes of sellers."""

from __future__ import annotations

from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.sellers import actions
from gateway.control.sellers.model import Founding, Joining, Members, Seller


async def create_seller(call: Call[Founding]) -> Seller:
    """Become a seller: a name and a handle, in one step."""
    async with call.wiring["begin"]() as unit:
        return await actions.found(
            call.body, by=call.principal, sellers=unit.sellers, accounts=unit.accounts, outbox=unit.outbox
        )


async def read_seller(call: Call[None]) -> Seller:
    """A seller by its handle."""
    async with call.wiring["begin"]() as unit:
        return await actions.read(call.path("handle"), sellers=unit.sellers)


async def list_members(call: Call[None]) -> Members:
    """Who belongs to a seller, for its members."""
    async with call.wiring["begin"]() as unit:
        return await actions.members(call.path("handle"), by=call.principal, sellers=unit.sellers)


async def put_member(call: Call[Joining]) -> None:
    """Give an account a role with a seller."""
    async with call.wiring["begin"]() as unit:
        await actions.let_join(
            call.path("handle"),
            call.path("username"),
            call.body.role,
            by=call.principal,
            sellers=unit.sellers,
            accounts=unit.accounts,
            outbox=unit.outbox,
        )


async def delete_member(call: Call[None]) -> None:
    """Take an account off a seller, or leave it."""
    async with call.wiring["begin"]() as unit:
        await actions.let_go(
            call.path("handle"),
            call.path("username"),
            by=call.principal,
            sellers=unit.sellers,
            accounts=unit.accounts,
            outbox=unit.outbox,
        )


ROUTES: list[Route] = [
    Route("POST", "/v1/sellers", create_seller, limit=WRITE, status=201, problems=(409,)),
    Route("GET", "/v1/sellers/{handle}", read_seller, limit=READ, login=False),
    Route("GET", "/v1/sellers/{handle}/members", list_members, limit=READ, problems=(403,)),
    Route("PUT", "/v1/sellers/{handle}/members/{username}", put_member, limit=WRITE, problems=(409,)),
    Route("DELETE", "/v1/sellers/{handle}/members/{username}", delete_member, limit=WRITE, problems=(409,)),
]
