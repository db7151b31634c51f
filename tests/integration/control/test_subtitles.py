"""Subtitles through the real app: sent, listed, replaced and dropped by who may, and shown by a new edition."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.control.outbox import OFFER
from shared import jobs as farm
from shared.need import Offer
from tests.support.control import Control, code_of, register
from tests.support.jobs import reap
from tests.support.titles import Desk, planned_of, ready_of, say

SRT = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"
VTT = b"WEBVTT\n\n00:01.000 --> 00:02.000\nHallo\n"


async def put(
    http: httpx2.AsyncClient, title: str, language: str, data: bytes = SRT, *, query: str = "", **headers: str
) -> httpx2.Response:
    return await http.put(f"/v1/titles/{title}/subtitles/{language}{query}", content=data, headers=headers)


async def listed(seller: Desk, title: str) -> list[tuple[Any, ...]]:
    items = (await seller.ask("GET", f"titles/{title}/subtitles"))["items"]
    return [(one["language"], one["label"], one["forced"], one["default"]) for one in items]


async def last_ticket(control: Control) -> farm.FinaliseTicket:
    """The last ticket that was offered, which is one for a last step."""
    rows = await control.rows("select data from outbox where type = $1 order by seq desc limit 1", OFFER)
    ticket = msgspec.convert(rows[0]["data"], Offer).work[farm.FINAL_CHUNK]
    assert isinstance(ticket, farm.FinaliseTicket)
    return ticket


async def editions(control: Control, title: str) -> list[dict[str, Any]]:
    return await control.rows(
        "select id, state, version from job where title = $1 and kind = 'edition' order by queued_at, id", title
    )


async def test_a_file_is_kept_listed_and_read_back(control: Control, seller: Desk) -> None:
    title = (await seller.title())["id"]

    answer = await put(seller.http, title, "ger", VTT, query="?label=F%C3%BCr%20alle&default=true")

    assert answer.status_code == 200, answer.text
    assert answer.json() | {"created_at": ""} == {
        "language": "de",
        "label": "Für alle",
        "forced": False,
        "default": True,
        "created_at": "",
    }
    assert (await put(seller.http, title, "pt-br")).status_code == 200
    assert (await put(seller.http, title, "de", query="?forced=true&default=true")).status_code == 200
    assert await listed(seller, title) == [
        ("de", "Für alle", False, False),
        ("de", "Deutsch", True, True),
        ("pt-BR", "Português (BR)", False, False),
    ]
    read = await seller.http.get(f"/v1/titles/{title}/subtitles/DE")
    assert (read.content, read.headers["content-type"]) == (VTT, "text/plain; charset=utf-8")
    assert read.headers["content-disposition"] == "attachment"
    told = await control.events("title.subtitle")
    assert [event["data"]["language"] for event in told] == ["de", "pt-BR", "de"]
    assert await editions(control, title) == []


async def test_a_file_replaces_the_one_of_its_language(control: Control, seller: Desk) -> None:
    title = (await seller.title())["id"]
    await put(seller.http, title, "en", query="?label=First")
    await put(seller.http, title, "en", VTT, query="?label=Second")

    assert await listed(seller, title) == [("en", "Second", False, False)]
    assert (await seller.http.get(f"/v1/titles/{title}/subtitles/en")).content == VTT
    assert (await seller.http.delete(f"/v1/titles/{title}/subtitles/en?forced=true")).status_code == 404
    assert (await seller.http.delete(f"/v1/titles/{title}/subtitles/en")).status_code == 204
    assert (await seller.http.get(f"/v1/titles/{title}/subtitles/en")).status_code == 404
    audits = await control.rows("select before, after from audit where action = 'title:subtitle' order by seq")
    assert [(bool(one["before"]), bool(one["after"])) for one in audits] == [(False, True), (True, True), (True, False)]


@pytest.mark.parametrize(
    ("data", "language", "query", "code"),
    [
        (b"no cues", "en", "", (422, "subtitles")),
        (b"\xff\xfe\x00", "en", "", (422, "subtitles")),
        (gzip.compress(SRT), "en", "", (415, "unsupported")),
        (bytes((2 << 20) + 1), "en", "", (413, "too-large")),
        (b"00:00:01,000 --> 00:00:02,000\nx\n\n" * 20_001, "en", "", (413, "too-large")),
        (SRT, "english", "", (422, "invalid")),
        (SRT, "und", "", (422, "invalid")),
        (SRT, "en", "?forced=1", (422, "invalid")),
        (SRT, "en", "?label=" + "x" * 61, (422, "invalid")),
        (SRT, "en", "?label=%22", (422, "invalid")),
    ],
)
async def test_a_file_is_refused_in_words(
    control: Control, seller: Desk, data: bytes, language: str, query: str, code: tuple[int, str]
) -> None:
    title = (await seller.title())["id"]

    answer = await put(seller.http, title, language, data, query=query)

    assert code_of(answer) == code and answer.json()["detail"]
    assert await listed(seller, title) == []
    assert [info async for info in control.wiring["bucket"].list_prefix("masters/")] == []


async def test_a_file_that_comes_too_late_leaves_nothing_in_the_bucket(control: Control, seller: Desk) -> None:
    title = (await seller.title())["id"]
    job = await seller.queue(title)
    await say(control, planned_of(job.id, chunks=("0",)))
    await say(control, farm.ChunkDone(job.id, "0"))

    assert code_of(await put(seller.http, title, "en")) == (409, "finishing")
    assert [info async for info in control.wiring["bucket"].list_prefix("masters/")] == []


async def test_a_body_in_another_coding_is_refused(seller: Desk) -> None:
    title = (await seller.title())["id"]

    answer = await put(seller.http, title, "en", gzip.compress(SRT), **{"content-encoding": "gzip"})

    assert code_of(answer) == (415, "unsupported")


async def test_a_body_without_an_end_is_read_no_further_than_a_file_may_be_long(seller: Desk) -> None:
    title = (await seller.title())["id"]
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while taken < 64 << 20:
            taken += 1 << 18
            yield bytes(1 << 18)

    answer = await seller.http.put(f"/v1/titles/{title}/subtitles/en", content=endless())

    assert code_of(answer) == (413, "too-large")
    assert taken <= 4 << 20


async def test_only_who_works_on_the_title_sends_and_sees_files(control: Control, seller: Desk) -> None:
    title = (await seller.ready())["id"]
    await put(seller.http, title, "en")
    stranger = control.browser("10.9.9.9")
    path = f"/v1/titles/{title}/subtitles"
    assert (await put(stranger, title, "en")).status_code == 401
    await register(stranger, "eve")
    for answer in (
        await put(stranger, title, "en"),
        await stranger.get(path),
        await stranger.get(f"{path}/en"),
        await stranger.delete(f"{path}/en"),
    ):
        assert answer.status_code == 404
    await seller.ask("PUT", f"sellers/{seller.seller['handle']}/members/eve", 204, {"role": "uploader"})
    assert (await stranger.get(path)).status_code == 200
    assert code_of(await put(stranger, title, "en")) == (403, "forbidden")


async def test_a_series_has_no_subtitles(seller: Desk) -> None:
    assert code_of(await put(seller.http, (await seller.title(kind="series"))["id"], "en")) == (422, "invalid")


async def test_a_title_has_no_more_than_64_sets(seller: Desk) -> None:
    title = (await seller.title())["id"]
    tags = [f"{first}{second}" for first in "abcdefgh" for second in "qrstuvwx"]
    for tag in tags:
        assert (await put(seller.http, title, tag)).status_code == 200, tag
        if tag.endswith("x"):
            seller.control.clock.advance(60)

    answer = await put(seller.http, title, "zz")

    assert code_of(answer) == (409, "conflict")
    assert (await put(seller.http, title, tags[0])).status_code == 200


async def test_a_title_that_plays_gets_a_new_edition_with_all_its_subtitles(control: Control, seller: Desk) -> None:
    title = (await seller.ready())["id"]
    await put(seller.http, title, "en", query="?default=true")
    control.clock.advance(1)
    await put(seller.http, title, "de", VTT)

    first, second = await editions(control, title)
    assert (first["state"], second["state"], second["version"]) == ("cancelled", "finalising", "v1")
    ticket = await last_ticket(control)
    assert (ticket.job, ticket.version) == (second["id"], "v1")
    assert [(one.language, one.label, one.default, one.sha256) for one in ticket.subtitles] == [
        ("de", "Deutsch", False, hashlib.sha256(VTT).hexdigest()),
        ("en", "English", True, hashlib.sha256(SRT).hexdigest()),
    ]
    assert [await control.wiring["bucket"].get(one.key) for one in ticket.subtitles] == [VTT, SRT]
    await say(control, ready_of(first["id"], edition="e-old"))
    await say(control, ready_of(second["id"], edition="e-new"))
    rows = await control.rows("select edition, state from title where id = $1", title)
    assert rows == [{"edition": "e-new", "state": "ready"}]
    assert (await seller.ask("GET", f"jobs/{second['id']}"))["state"] == "done"


async def test_a_version_in_the_making_takes_the_subtitles_that_are_there_at_its_end(
    control: Control, seller: Desk
) -> None:
    title = (await seller.title())["id"]
    await put(seller.http, title, "en")
    job = (await seller.queue(title)).id
    await say(control, planned_of(job, chunks=("0",)))
    await put(seller.http, title, "de", VTT)
    assert await editions(control, title) == []

    await say(control, farm.ChunkDone(job=job, chunk="0"))

    assert [one.language for one in (await last_ticket(control)).subtitles] == ["de", "en"]
    assert code_of(await put(seller.http, title, "fr")) == (409, "finishing")
    assert code_of(await seller.http.delete(f"/v1/titles/{title}/subtitles/en")) == (409, "finishing")
    assert await listed(seller, title) == [("de", "Deutsch", False, False), ("en", "English", False, False)]


async def test_a_master_sent_again_keeps_the_subtitles_that_came_since_its_version_was_made(
    control: Control, seller: Desk
) -> None:
    title = (await seller.ready())["id"]
    await put(seller.http, title, "en")
    control.clock.advance(1)
    job = (await seller.queue(title)).id
    await say(control, planned_of(job))

    await say(control, ready_of(job))

    *_, newest = await editions(control, title)
    ticket = await last_ticket(control)
    assert (newest["state"], ticket.job) == ("finalising", newest["id"])
    assert [one.language for one in ticket.subtitles] == ["en"]


async def test_an_edition_of_a_version_that_plays_no_more_changes_nothing(control: Control, seller: Desk) -> None:
    title = (await seller.ready())["id"]
    await put(seller.http, title, "en")
    (late,) = await editions(control, title)
    async with control.wiring["begin"]() as unit:
        await unit.connection.execute("update title set version = 'v2', edition = 'e2' where id = $1", title)

    await say(control, ready_of(late["id"], "v1", "e-late"))

    assert await control.rows("select version, edition from title where id = $1", title) == [
        {"version": "v2", "edition": "e2"}
    ]


async def test_an_edition_that_fails_leaves_the_title_as_it_is_and_is_tried_again(
    control: Control, seller: Desk
) -> None:
    title = (await seller.published())["id"]
    await put(seller.http, title, "en")
    (job,) = await editions(control, title)
    for n in range(3):
        broken = farm.Failed(job=job["id"], chunk="final", code="subtitles-differ", words="It broke.")
        await say(control, broken, entry=f"e{n}")
    assert (await seller.ask("GET", f"jobs/{job['id']}"))["state"] == "failed"
    assert (await seller.ask("GET", f"titles/{title}"))["state"] == "published"

    again = await seller.ask("POST", f"jobs/{job['id']}/retry")

    assert again["state"] == "finalising"
    assert (await last_ticket(control)).job == again["id"]


async def test_an_edition_that_fails_beside_a_new_master_leaves_that_in_the_making(
    control: Control, seller: Desk
) -> None:
    title = (await seller.ready())["id"]
    await seller.queue(title)
    await put(seller.http, title, "en")
    (job,) = await editions(control, title)

    await say(control, farm.Failed(job=job["id"], chunk="final", code="x", words="It broke.", final=True))

    assert (await seller.ask("GET", f"jobs/{job['id']}"))["state"] == "failed"
    assert (await seller.ask("GET", f"titles/{title}"))["state"] == "processing"


async def test_a_lost_ticket_is_sent_again_with_the_subtitles(control: Control, seller: Desk) -> None:
    title = (await seller.ready())["id"]
    await put(seller.http, title, "en")
    before = await last_ticket(control)
    control.clock.advance(60)

    assert await reap(control) == 1
    assert await last_ticket(control) == before
