"""Answers as they stand on the wire: ranges, conditions, refusals, order."""

from __future__ import annotations

import pytest

from tests.support.films import Film
from tests.support.on_the_wire import REFUSED, SIZE, is_whole
from tests.support.players import Link


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-0", 206, 0, 1),
        ("bytes=100-200099", 206, 100, 200_100),
        ("bytes=131071-131072", 206, 131_071, 131_073),
        ("bytes=299999-", 206, 299_999, SIZE),
        ("bytes=1000-", 206, 1000, SIZE),
        ("bytes=-1", 206, SIZE - 1, SIZE),
        ("bytes=-999999999", 206, 0, SIZE),
        ("bytes=0-999999999", 206, 0, SIZE),
        ("bytes=0-0,2-3", 200, 0, SIZE),
        ("bytes=0-10, -5", 200, 0, SIZE),
        ("bytes=5-4", 200, 0, SIZE),
        ("bytes=", 200, 0, SIZE),
        ("bytes=a-b", 200, 0, SIZE),
        ("lines=0-1", 200, 0, SIZE),
        ("bytes=300000-", 416, 0, 0),
        ("bytes=-0", 416, 0, 0),
        ("bytes=9999999999999999999-", 416, 0, 0),
    ],
)
async def test_a_range_gives_exactly_its_bytes(
    link: Link, segment: str, whole: bytes, asked: str, status: int, start: int, end: int
) -> None:
    answer = await link.ask("GET", segment, headers={"Range": asked})
    assert (answer.status, answer.body) == (status, whole[start:end])
    if status == 206:
        assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    if status == 416:
        assert answer.headers["content-range"] == f"bytes */{SIZE}"
    assert (await link.ask("GET", segment, headers={"Range": "bytes=7-8"})).body == whole[7:9]


async def test_if_range_gives_the_part_only_of_the_object_it_names(link: Link, segment: str, whole: bytes) -> None:
    etag = (await link.ask("HEAD", segment)).headers["etag"]
    for named, status, body in (
        (etag, 206, whole[5:10]),
        (f"W/{etag}", 200, whole),
        ('"another"', 200, whole),
        ("Sat, 21 Nov 2026 10:00:00 GMT", 200, whole),
    ):
        answer = await link.ask("GET", segment, headers={"Range": "bytes=5-9", "If-Range": named})
        assert (answer.status, answer.body) == (status, body), named


async def test_answers_without_bodies_keep_the_connection_in_order(link: Link, film: Film, segment: str) -> None:
    head = await link.ask("HEAD", segment)
    assert (head.status, head.headers["content-length"]) == (200, str(SIZE))
    etag = head.headers["etag"]
    unchanged = await link.ask("GET", segment, headers={"If-None-Match": f'"other", W/{etag}'})
    assert (unchanged.status, unchanged.headers["etag"]) == (304, etag)
    ranged_head = await link.ask("HEAD", segment, headers={"Range": "bytes=0-9"})
    assert (ranged_head.status, ranged_head.headers["content-length"]) == (200, str(SIZE))
    asked = {"Origin": "https://page.example", "Access-Control-Request-Method": "GET"}
    preflight = await link.ask("OPTIONS", segment, headers=asked)
    assert (preflight.status, preflight.headers["access-control-max-age"]) == (204, "86400")
    assert preflight.headers["access-control-allow-origin"] in ("*", "https://page.example")
    assert is_whole(film, (await link.ask("GET", segment)).body)


@pytest.mark.parametrize(("method", "target", "status"), REFUSED)
async def test_a_refusal_leaves_the_connection_to_the_next_request(
    link: Link, film: Film, token: str, method: str, target: str, status: int
) -> None:
    forged = token[:-20] + ("A" if token[-20] != "A" else "B") + token[-19:]
    answer = await link.ask(method, target.format(token=token, forged=forged))
    assert answer.status == status
    assert answer.size == int(answer.headers["content-length"])
    assert is_whole(film, (await link.ask("GET", f"/t/{token}/{film.segment(0)}")).body)


async def test_pipelined_requests_are_answered_in_their_order(link: Link, film: Film, token: str) -> None:
    numbers = [0, 1, 2, 1, 0, 2, 2, 1] * 4
    for number in numbers:
        await link.send("GET", f"/t/{token}/{film.segment(number)}", headers={"Range": f"bytes={number}-65535"})
        await link.send("GET", f"/t/{token}/v/ttl_film/ver1/720/0/999.m4s")
    for number in numbers:
        part = await link.answer()
        assert (part.status, part.headers["content-range"]) == (206, f"bytes {number}-65535/{SIZE}")
        assert (await link.answer()).status == 404
