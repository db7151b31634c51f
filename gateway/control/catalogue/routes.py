"""Routes of titles: the shelf, a title's page and poster, the studio, and what sellers and moderators do."""

from __future__ import annotations

from starlette.responses import Response

from gateway.control.catalogue import actions
from gateway.control.catalogue.model import (
    Listing,
    NewTitle,
    Shelf,
    Studio,
    TakedownOrder,
    Title,
    TitleChange,
    TitleView,
    card,
    page,
    still_of,
    studio_page,
)
from gateway.control.jobs import actions as jobs
from gateway.control.limits import READ, WRITE
from gateway.control.offers import prices
from gateway.control.paging import Cursor, decode_cursor, encode_cursor, one_of, page_size
from gateway.control.route import Call, Route
from shared.errors import NotFound
from shared.storage import names

PAGING = {"cursor": "`next` of the page before", "limit": "titles a page, 1 to 100"}


async def list_titles(call: Call[None]) -> Shelf:
    """What the public may watch, newest first; `q` searches, the last word as a prefix."""
    after, limit = decode_cursor(call.query("cursor")), page_size(call.query("limit"))
    async with call.wiring["begin"]() as unit:
        titles, place = await actions.shelf(
            call.query("q"),
            parent=call.query("parent"),
            after=after,
            limit=limit,
            titles=unit.catalogue,
            now=call.wiring["clock"].now(),
        )
    return Shelf([card(title) for title in titles], encode_cursor(place) if place else None)


async def create_title(call: Call[NewTitle]) -> TitleView:
    """A new title, as a draft."""
    async with call.wiring["begin"]() as unit:
        title = await actions.create(
            call.body, by=call.principal, titles=unit.catalogue, outbox=unit.outbox, clock=call.wiring["clock"]
        )
        await _follow(call, title, None, unit=unit)
    return page(title, call.principal)


async def read_title(call: Call[None]) -> TitleView:
    """A title by its id or short id; one that is taken down shows its notice."""
    async with call.wiring["begin"]() as unit:
        title = await actions.find(call.path("title"), by=call.caller, titles=unit.catalogue)
    return page(title, call.caller)


async def change_title(call: Call[TitleChange]) -> TitleView:
    """Change what is sent; the short id stands for good once the title was published."""
    async with call.wiring["begin"]() as unit:
        ref, titles = call.path("title"), unit.catalogue
        was = await actions.to_change(ref, "title:write", by=call.principal, titles=titles)
        title = await actions.change(ref, call.body, by=call.principal, titles=titles, outbox=unit.outbox)
        await _follow(call, title, was, unit=unit)
    return page(title, call.principal)


async def _follow(
    call: Call[NewTitle] | Call[TitleChange], title: Title, was: Title | None, *, unit: prices.Stores
) -> None:
    """What the title is offered for says the same as its price, where that was set."""
    await prices.follow(
        title,
        was=was,
        by=call.principal,
        place=call.place,
        accept_loss=call.body.accept_loss,
        unit=unit,
        providers=call.wiring["providers"],
        clock=call.wiring["clock"],
    )


async def publish_title(call: Call[None]) -> TitleView:
    """Show a title to the public, within its window."""
    async with call.wiring["begin"]() as unit:
        title = await actions.publish(
            call.path("title"),
            by=call.principal,
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )
    return page(title, call.principal)


async def archive_title(call: Call[None]) -> TitleView:
    """Take a title off the shelf; publishing brings it back."""
    async with call.wiring["begin"]() as unit:
        title = await actions.archive(call.path("title"), by=call.principal, titles=unit.catalogue, outbox=unit.outbox)
    return page(title, call.principal)


async def take_down_title(call: Call[TakedownOrder]) -> TitleView:
    """End every play of a title within two seconds and show a notice instead."""
    async with call.wiring["begin"]() as unit:
        title = await actions.take_down(
            call.path("title"),
            call.body,
            by=call.principal,
            place=call.place,
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )
    return page(title, call.principal)


async def restore_title(call: Call[None]) -> TitleView:
    """Undo a takedown."""
    async with call.wiring["begin"]() as unit:
        title = await actions.restore(
            call.path("title"), by=call.principal, place=call.place, titles=unit.catalogue, outbox=unit.outbox
        )
    return page(title, call.principal)


async def read_poster(call: Call[None]) -> Response:
    """The still of a title's newest version; who works on the title may look at the others there are."""
    async with call.wiring["begin"]() as unit:
        title = await actions.find(call.path("title"), by=call.caller, titles=unit.catalogue)
    number = still_of(call.query("still"), title, call.caller)
    if not title.has_poster or title.taken_down or title.version is None or number is None:
        raise NotFound("This title has no such poster.")
    etag = f'"{title.version}-{number}"'
    # The address of a poster names its version, so a public one may be kept; one of a draft is its seller's own.
    kept = "public, max-age=86400" if title.state == "published" else "private, max-age=300"
    headers = {"ETag": etag, "Cache-Control": kept}
    if etag in call.request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    still = await call.wiring["bucket"].get(names.poster(title.id, title.version, number))
    return Response(still, media_type="image/jpeg", headers=headers)


async def list_studio(call: Call[None]) -> Studio:
    """A seller's titles in any state, each with its newest job and an upload that waits."""
    after, limit = decode_cursor(call.query("cursor")), page_size(call.query("limit"))
    async with call.wiring["begin"]() as unit:
        titles, place = await actions.studio(
            call.query("seller"), by=call.principal, after=after, limit=limit, titles=unit.catalogue
        )
    return await _studio(call, titles, place)


async def list_all_titles(call: Call[None]) -> Studio:
    """Titles of all sellers in any state, each with its newest job and an upload that waits."""
    after, limit = decode_cursor(call.query("cursor")), page_size(call.query("limit"))
    state = one_of("state", call.query("state"), Listing)
    async with call.wiring["begin"]() as unit:
        titles, place = await actions.everybodys(
            call.query("q"), state, by=call.principal, after=after, limit=limit, titles=unit.catalogue
        )
    return await _studio(call, titles, place)


async def _studio(call: Call[None], titles: list[Title], place: Cursor | None) -> Studio:
    ids = [title.id for title in titles]
    async with call.wiring["begin"]() as unit:
        waiting = await unit.catalogue.waiting_uploads(ids)
        newest, pieces = await jobs.latest(ids, jobs=unit.jobs)
    views = await jobs.show(newest, pieces, leases=call.wiring["leases"])
    job_of = {view.title: view for view in views}
    items = [studio_page(t, call.principal, job=job_of.get(t.id), upload=waiting.get(t.id)) for t in titles]
    return Studio(items, encode_cursor(place) if place else None)


ROUTES: list[Route] = [
    Route(
        "GET",
        "/v1/titles",
        list_titles,
        limit=READ,
        login=False,
        query={"q": "words to search for", "parent": "only what lies in this series or season", **PAGING},
    ),
    Route("POST", "/v1/titles", create_title, limit=WRITE, status=201, problems=(404, 409)),
    Route("GET", "/v1/titles/{title}", read_title, limit=READ, login=False),
    Route("PATCH", "/v1/titles/{title}", change_title, limit=WRITE, problems=(409,)),
    Route("POST", "/v1/titles/{title}/publish", publish_title, limit=WRITE, problems=(409,)),
    Route("POST", "/v1/titles/{title}/archive", archive_title, limit=WRITE, problems=(409,)),
    Route("PUT", "/v1/titles/{title}/takedown", take_down_title, limit=WRITE),
    Route("DELETE", "/v1/titles/{title}/takedown", restore_title, limit=WRITE, problems=(409,)),
    Route(
        "GET",
        "/v1/titles/{title}/poster.jpg",
        read_poster,
        limit=READ,
        login=False,
        query={"still": "another of the title's stills, counted from 0, for those who work on it"},
        stream=True,
    ),
    Route(
        "GET",
        "/v1/studio/titles",
        list_studio,
        limit=READ,
        query={"seller": "id or handle; without it all that you work for", **PAGING},
        problems=(404,),
    ),
    Route(
        "GET",
        "/v1/admin/titles",
        list_all_titles,
        limit=READ,
        query={
            "q": "words to search for",
            "state": "draft, processing, ready, published, archived or taken-down",
            **PAGING,
        },
        problems=(403,),
    ),
]
