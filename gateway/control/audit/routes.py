"""Routes of the audit trail."""

from __future__ import annotations

from starlette.responses import Response, StreamingResponse

from gateway.control.audit import actions
from gateway.control.audit.model import Trail, Wanted
from gateway.control.limits import AUTH, READ
from gateway.control.paging import EVER, decode_cursor, encode_cursor, moment_of, page_size
from gateway.control.route import Call, Route


async def list_audit(call: Call[None]) -> Trail:
    """Who did what, from where and when, with what was before and after; the newest first."""
    after, limit = decode_cursor(call.query("cursor")), page_size(call.query("limit"))
    async with call.wiring["begin"]() as unit:
        wanted = await actions.asked(_wanted(call), by=call.principal, people=unit.accounts)
        items, place = await actions.page(wanted, after=after, limit=limit, audit=unit.audit)
    return Trail(items, encode_cursor(place) if place else None)


async def export_audit(call: Call[None]) -> Response:
    """The same as CSV, all of it that was asked for; who took it away is on record too."""
    begin = call.wiring["begin"]
    async with begin() as unit:
        wanted = await actions.asked(_wanted(call), by=call.principal, people=unit.accounts)
        await actions.taken(wanted, by=call.principal, place=call.place, outbox=unit.outbox)
    headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="audit.csv"'}
    return StreamingResponse(actions.export(wanted, begin=begin), media_type="text/csv; charset=utf-8", headers=headers)


def _wanted(call: Call[None]) -> Wanted:
    return Wanted(
        actor=call.query("actor") or None,
        action=call.query("action") or None,
        object=call.query("object") or None,
        since=moment_of("since", call.query("since"), EVER[0]),
        until=moment_of("until", call.query("until"), EVER[1]),
    )


WANTED = {
    "actor": "user name or id of who did it; `system` or `worker` for the installation itself",
    "action": "what was done, such as payment:refund",
    "object": "id of what it was done to",
    "since": "a day or a moment by ISO 8601 from which on",
    "until": "a day or a moment by ISO 8601 before which",
}
ROUTES: list[Route] = [
    Route(
        "GET",
        "/v1/audit",
        list_audit,
        limit=READ,
        query={**WANTED, "cursor": "`next` of the page before", "limit": "entries a page, 1 to 100"},
        problems=(403,),
    ),
    Route("GET", "/v1/audit.csv", export_audit, limit=AUTH, stream=True, query=WANTED, problems=(403,)),
]
