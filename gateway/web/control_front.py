"""Reads what pages show from control's features: one short transaction a question."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from gateway.control import auth
from gateway.control.accounts.actions import person
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import TitleCard, TitleView, card, page
from gateway.control.paging import PAGE, decode_cursor, encode_cursor
from gateway.control.portal.model import Portal
from gateway.control.watching import actions as watching
from gateway.control.watching.model import WatchedTitle
from gateway.web.front import Me

#: Titles to continue on the browse page.
ROW = 12
#: What a part of the administration needs, one each; admin.js has its parts by the same.
OFFICE = (
    "account:read",
    "title:read",
    "payment:read",
    "payout:approve",
    "ledger:read",
    "recon:read",
    "audit:read",
)


class ControlFront:
    """The `Front` of a control process; a request's principal is looked up once."""

    async def portal(self, request: Request[Any]) -> Portal:
        """The portal's settings, a moment old at most."""
        settings: Portal = await request.state["portal"].read()
        return settings

    async def me(self, request: Request[Any]) -> Me | None:
        """The account of the session cookie."""
        principal = await _principal(request)
        if principal is None or principal.kind != "registered":
            return None
        async with request.state["begin"]() as unit:
            found = await person.me(principal, accounts=unit.accounts, sellers=unit.sellers)
        admin = auth.can(principal, "portal:write")
        office = any(auth.can(principal, one) for one in OFFICE)
        return Me(username=found.username, admin=admin, office=office, sells=bool(found.sellers))

    async def shelf(self, request: Request[Any], *, q: str, cursor: str) -> tuple[list[TitleCard], str]:
        """Published titles, newest first."""
        after = decode_cursor(cursor)
        async with request.state["begin"]() as unit:
            titles, following = await catalogue.shelf(
                q, parent="", after=after, limit=PAGE, titles=unit.catalogue, now=request.state["clock"].now()
            )
        return [card(title) for title in titles], encode_cursor(following) if following else ""

    async def watching(self, request: Request[Any]) -> list[WatchedTitle]:
        """What this principal, a guest too, may go on with: a row of it."""
        principal = await _principal(request)
        if principal is None:
            return []
        async with request.state["begin"]() as unit:
            row = await watching.unfinished(principal, watching=unit.watching, titles=unit.catalogue, limit=ROW)
        return row.items

    async def title(self, request: Request[Any], short_id: str) -> TitleView:
        """A title that is published, or that its seller looks at before."""
        principal = await _principal(request)
        async with request.state["begin"]() as unit:
            found = await catalogue.find(short_id, by=principal, titles=unit.catalogue)
        return page(found, principal)


async def _principal(request: Request[Any]) -> auth.Principal | None:
    known = "usher.principal"
    if known not in request.scope:
        sent = auth.credential(request)
        request.scope[known] = await request.state["finder"].find(sent.signed) if sent else None
    found: auth.Principal | None = request.scope[known]
    return found
