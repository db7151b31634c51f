"""Routes of subtitles: a file a language, sent as it is."""

from __future__ import annotations

import msgspec
from starlette.responses import Response

from gateway.control.limits import READ, WRITE
from gateway.control.route import Call, Route
from gateway.control.subtitles import actions
from gateway.control.subtitles.model import SubtitleList, SubtitleView, sending, tag_of, view, yes
from shared.errors import TooLarge, Unsupported
from shared.subtitles import MAX_BYTES

FORCED = {"forced": "true: the set that holds only what must be read"}
LISTED = {
    **FORCED,
    "label": "what menus show; without it the language's name",
    "default": "true: shown unless another is chosen",
}


async def list_subtitles(call: Call[None]) -> SubtitleList:
    """The subtitles of a title, for who works on it."""
    async with call.wiring["begin"]() as unit:
        found = await actions.of_title(call.path("title"), by=call.principal, stores=unit)
    return SubtitleList([view(one) for one in found])


async def read_subtitles(call: Call[None]) -> Response:
    """One file of subtitles as it was sent."""
    async with call.wiring["begin"]() as unit:
        found = await actions.source(
            call.path("title"), tag_of(call.path("language")), forced=_forced(call), by=call.principal, stores=unit
        )
    text = await call.wiring["bucket"].get(found.key)
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": "attachment"}
    return Response(text, media_type="text/plain", headers=headers)


async def put_subtitles(call: Call[None]) -> Response:
    """Send an SRT or WebVTT file as the subtitles of a language; a title that plays shows them in its next edition."""
    sent = sending(
        call.path("language"),
        label=call.query("label"),
        forced=call.query("forced"),
        default=call.query("default"),
    )
    async with call.wiring["begin"]() as unit:
        title = await actions.check_allowed(call.path("title"), by=call.principal, titles=unit.catalogue)
    made = await actions.send(title.id, sent, await _file(call), by=call.principal, on=_ports(call))
    return Response(msgspec.json.encode(view(made)), media_type="application/json")


async def delete_subtitles(call: Call[None]) -> None:
    """Take the subtitles of a language off a title."""
    await actions.drop(
        call.path("title"), tag_of(call.path("language")), forced=_forced(call), by=call.principal, on=_ports(call)
    )


def _ports(call: Call[None]) -> actions.Ports:
    wiring = call.wiring
    return actions.Ports(begin=wiring["begin"], bucket=wiring["bucket"], clock=wiring["clock"], place=call.place)


def _forced(call: Call[None]) -> bool:
    return yes("forced", call.query("forced"))


async def _file(call: Call[None]) -> bytes:
    """The body, no more of it than a file may have."""
    if call.request.headers.get("content-encoding", "identity") != "identity":
        raise Unsupported("Send the file as it is, without Content-Encoding.")
    data = bytearray()
    async for piece in call.request.stream():
        data += piece
        if len(data) > MAX_BYTES:
            raise TooLarge(f"Subtitles have at most {MAX_BYTES >> 20} MiB.")
    return bytes(data)


ROUTES: list[Route] = [
    Route("GET", "/v1/titles/{title}/subtitles", list_subtitles, limit=READ, problems=(403,)),
    Route(
        "GET",
        "/v1/titles/{title}/subtitles/{language}",
        read_subtitles,
        limit=READ,
        stream=True,
        query=FORCED,
        problems=(403,),
    ),
    Route(
        "PUT",
        "/v1/titles/{title}/subtitles/{language}",
        put_subtitles,
        limit=WRITE,
        returns=SubtitleView,
        stream=True,
        query=LISTED,
        problems=(409, 413, 415),
    ),
    Route(
        "DELETE",
        "/v1/titles/{title}/subtitles/{language}",
        delete_subtitles,
        limit=WRITE,
        query=FORCED,
        problems=(409,),
    ),
]
