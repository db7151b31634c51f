"""Bytes through the gate: status, headers and bodies as players and pages see them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from obstore.store import S3Store

from tests.support.edge import (
    INIT,
    MASTER,
    OTHER,
    PLAYLIST,
    SEGMENT,
    SEGMENT_BYTES,
    TITLE,
    EdgeUnderTest,
    running_edge,
)
from tests.support.paths import TRICKS
from tests.support.s3 import moto


async def test_a_segment_comes_whole_when_asked_whole(edge: EdgeUnderTest) -> None:
    answer = await edge.get(SEGMENT, edge.token())
    assert (answer.status, answer.body) == (200, SEGMENT_BYTES)
    assert answer.headers["content-length"] == str(len(SEGMENT_BYTES))
    assert answer.headers["content-type"] == "video/iso.segment"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"].startswith("private")
    assert max(map(len, answer.pieces)) <= 128 * 1024


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (MASTER, "application/vnd.apple.mpegurl"),
        (PLAYLIST, "application/vnd.apple.mpegurl"),
        (INIT, "video/mp4"),
        (f"v/{TITLE}/ver1/poster.jpg", "image/jpeg"),
    ],
)
async def test_each_kind_of_object_has_its_content_type(edge: EdgeUnderTest, path: str, kind: str) -> None:
    answer = await edge.get(path, edge.token())
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_head_has_the_headers_of_get_and_no_body(edge: EdgeUnderTest) -> None:
    token = edge.token()
    got = await edge.get(SEGMENT, token)
    head = await edge.ask("HEAD", f"/t/{token}/{SEGMENT}")
    assert (head.status, head.body) == (200, b"")
    for name in ("cache-status", "server-timing"):  # the second of the two is a hit
        assert got.headers.pop(name) != head.headers.pop(name)
    assert head.headers == got.headers


@pytest.mark.parametrize(
    ("asked", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199", 100, 200),
        ("bytes=131071-131072", 131071, 131073),
        ("bytes=200000-", 200000, len(SEGMENT_BYTES)),
        ("bytes=-500", len(SEGMENT_BYTES) - 500, len(SEGMENT_BYTES)),
        ("bytes=5-999999999", 5, len(SEGMENT_BYTES)),
    ],
)
async def test_a_range_gives_those_bytes(edge: EdgeUnderTest, asked: str, start: int, end: int) -> None:
    answer = await edge.get(SEGMENT, edge.token(), headers={"Range": asked})
    assert (answer.status, answer.body) == (206, SEGMENT_BYTES[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(SEGMENT_BYTES)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "bytes=9-3", "lines=1-2", "bytes", "bytes=a-b"])
async def test_a_range_that_cannot_be_honoured_gives_the_whole(edge: EdgeUnderTest, asked: str) -> None:
    answer = await edge.get(SEGMENT, edge.token(), headers={"Range": asked})
    assert (answer.status, answer.body) == (200, SEGMENT_BYTES)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=-0"])
async def test_a_range_past_the_end_is_416(edge: EdgeUnderTest, asked: str) -> None:
    answer = await edge.get(SEGMENT, edge.token(), headers={"Range": asked})
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{len(SEGMENT_BYTES)}"


async def test_if_range_gives_the_whole_when_the_tag_changed(edge: EdgeUnderTest) -> None:
    token = edge.token()
    etag = (await edge.get(SEGMENT, token)).headers["etag"]
    same = await edge.get(SEGMENT, token, headers={"Range": "bytes=0-9", "If-Range": etag})
    other = await edge.get(SEGMENT, token, headers={"Range": "bytes=0-9", "If-Range": '"other"'})
    assert (same.status, other.status) == (206, 200)
    assert (same.body, other.body) == (SEGMENT_BYTES[:10], SEGMENT_BYTES)


async def test_not_modified_when_the_tag_is_known(edge: EdgeUnderTest) -> None:
    token = edge.token()
    etag = (await edge.get(MASTER, token)).headers["etag"]
    for known in (etag, f"W/{etag}", f'"x", {etag}', "*"):
        answer = await edge.get(MASTER, token, headers={"If-None-Match": known})
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", etag)
    assert (await edge.get(MASTER, token, headers={"If-None-Match": '"x"'})).status == 200


async def test_the_second_request_is_served_from_ram(edge: EdgeUnderTest) -> None:
    token = edge.token()
    first, second = await edge.get(SEGMENT, token), await edge.get(SEGMENT, token)
    assert "fwd=miss" in first.headers["cache-status"]
    assert second.headers["cache-status"] == "usher; hit"


async def test_one_fetch_serves_all_who_wait(edge: EdgeUnderTest) -> None:
    token = edge.token()
    await edge.get(MASTER, token)
    answers = await asyncio.gather(*(edge.get(SEGMENT, token) for _ in range(20)))
    assert {answer.body for answer in answers} == {SEGMENT_BYTES}
    assert [answer.headers["cache-status"] for answer in answers].count("usher; fwd=miss; stored") == 1


async def test_an_object_of_an_unfinished_version_is_404_until_it_exists(edge: EdgeUnderTest, folder: Path) -> None:
    token, path = edge.token(), f"v/{TITLE}/ver2/720/0/1.m4s"
    missing = await edge.get(path, token)
    assert (missing.status, missing.body, missing.headers["cache-control"]) == (404, b"", "no-store")
    (folder / "bucket" / path).parent.mkdir(parents=True)
    (folder / "bucket" / path).write_bytes(b"later")
    assert (await edge.get(path, token)).status == 200


@pytest.mark.parametrize(
    "path", [f"v/{TITLE}/ver1/ready.json", "work/ver1/plan.json", f"masters/{TITLE}/upl_1", "work/ver1/0/a/0.m4s"]
)
async def test_what_is_not_published_does_not_exist(edge: EdgeUnderTest, path: str) -> None:
    assert (await edge.get(path, edge.token())).status == 404


async def test_another_title_is_403_even_when_its_id_begins_alike(edge: EdgeUnderTest) -> None:
    answer = await edge.get(f"v/{OTHER}/e/ed1/1080.m3u8", edge.token())
    assert (answer.status, answer.json()["code"]) == (403, "scope")
    assert (await edge.get("v/ttl_none/e/ed1/1080.m3u8", edge.token())).status == 403


async def test_renditions_and_playlists_above_the_ceiling_are_403(edge: EdgeUnderTest) -> None:
    token = edge.token(q=720)
    assert (await edge.get(MASTER, token)).json()["code"] == "ceiling"
    assert (await edge.get(f"v/{TITLE}/ver1/1080/0/0.m4s", token)).status == 403
    for path in (SEGMENT, f"v/{TITLE}/e/ed1/720.m3u8", f"v/{TITLE}/ver1/audio-0/0/0.m4s"):
        assert (await edge.get(path, token)).status == 200


async def test_refusals_are_problems_on_playlists_and_silent_on_segments(edge: EdgeUnderTest) -> None:
    playlist, segment = await edge.get(MASTER, "a.b.c"), await edge.get(SEGMENT, "a.b.c")
    assert (playlist.status, segment.status, segment.body) == (401, 401, b"")
    assert playlist.headers["content-type"] == "application/problem+json"
    problem = playlist.json()
    assert problem["status"] == 401
    assert {"type", "title", "detail", "code"} <= problem.keys()
    assert playlist.headers["www-authenticate"].startswith("Bearer")


async def test_the_token_comes_by_cookie_or_header_as_well(edge: EdgeUnderTest) -> None:
    token = edge.token()
    by_cookie = await edge.get(MASTER, headers={"Cookie": f"a=b; URISigningPackage={token}"})
    by_header = await edge.get(MASTER, headers={"Authorization": f"Bearer {token}"})
    by_both = await edge.get(MASTER, token, headers={"Authorization": f"Bearer {token}"})
    assert [one.status for one in (by_cookie, by_header, by_both)] == [200, 200, 200]
    assert (await edge.get(MASTER)).json()["code"] == "token-missing"


@pytest.mark.parametrize("carrier", ["Cookie", "Authorization"])
async def test_two_carriers_that_differ_are_400(edge: EdgeUnderTest, carrier: str) -> None:
    other = edge.token()
    value = f"URISigningPackage={other}" if carrier == "Cookie" else f"Bearer {other}"
    answer = await edge.get(MASTER, edge.token(), headers={carrier: value})
    assert (answer.status, answer.json()["code"]) == (400, "carriers-differ")
    twice = await edge.get(MASTER, headers={"Cookie": f"URISigningPackage={other}; URISigningPackage=x"})
    assert twice.status == 400


async def test_any_page_may_read_when_cors_is_open(edge: EdgeUnderTest) -> None:
    answer = await edge.get(MASTER, edge.token(), headers={"Origin": "https://page.example"})
    assert answer.headers["access-control-allow-origin"] == "*"
    refused = await edge.get(MASTER, "bad", headers={"Origin": "https://page.example"})
    assert refused.headers["access-control-allow-origin"] == "*"


async def test_only_listed_pages_may_read_when_cors_is_a_list(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, cors_origins="https://a.example") as edge:
        listed = await edge.get(MASTER, edge.token(), headers={"Origin": "https://a.example"})
        other = await edge.get(MASTER, edge.token(), headers={"Origin": "https://b.example"})
    assert listed.headers["access-control-allow-origin"] == "https://a.example"
    assert listed.headers["access-control-allow-credentials"] == "true"
    assert "access-control-allow-origin" not in other.headers
    assert other.headers["vary"] == "origin"


async def test_a_preflight_needs_no_token_and_is_kept(edge: EdgeUnderTest) -> None:
    answer = await edge.ask("OPTIONS", f"/t/x/{SEGMENT}", headers={"Origin": "https://page.example"})
    assert answer.status == 204
    assert "range" in answer.headers["access-control-allow-headers"]
    assert int(answer.headers["access-control-max-age"]) >= 3600


@pytest.mark.parametrize(("method", "path"), [("POST", MASTER), ("PUT", MASTER), ("GET", "end"), ("GET", "beat")])
async def test_a_method_that_is_not_spoken_is_405(edge: EdgeUnderTest, method: str, path: str) -> None:
    answer = await edge.ask(method, f"/t/{edge.token()}/{path}")
    assert answer.status == 405
    assert "allow" in answer.headers


async def test_everything_else_is_starlettes(edge: EdgeUnderTest) -> None:
    assert (await edge.ask("GET", "/healthz")).body == b"ok\n"
    assert (await edge.ask("GET", "/")).status == 404


@pytest.mark.parametrize("prefix", ["/t/{}/v/ttl_a/", "/t/{}/v/ttl_a2/../ttl_a/", "/t/{}/", "//t/{}/v/ttl_a/"])
async def test_no_path_trick_gets_a_byte_with_a_good_token(edge: EdgeUnderTest, prefix: str) -> None:
    token = edge.token()
    for trick in TRICKS:
        answer = await edge.ask("GET", prefix.format(token) + trick)
        assert answer.status in (400, 403, 404), trick
        assert b"secret" not in answer.body


async def test_a_bucket_that_does_not_answer_is_503_and_heals(folder: Path, redis_url: str) -> None:
    bucket = {"bucket": "s3://films", "s3_endpoint": "http://127.0.0.1:1", "s3_access_key": "a", "s3_secret_key": "b"}
    async with running_edge(folder, redis_url, **bucket) as edge:
        answer = await edge.get(MASTER, edge.token())
    assert (answer.status, answer.json()["code"]) == (503, "store-unavailable")
    assert answer.headers["retry-after"]


async def test_media_comes_from_s3(folder: Path, redis_url: str) -> None:
    with moto(folder) as server:
        await server.make_bucket("films")
        store = S3Store(
            "films",
            config={
                "endpoint": server.endpoint,
                "region": server.region,
                "access_key_id": server.access_key,
                "secret_access_key": server.secret_key,
                "virtual_hosted_style_request": False,
            },
            client_options={"allow_http": True},
        )
        await store.put_async(SEGMENT, SEGMENT_BYTES)
        bucket = {
            "bucket": "s3://films",
            "s3_endpoint": server.endpoint,
            "s3_access_key": server.access_key,
            "s3_secret_key": server.secret_key,
        }
        async with running_edge(folder, redis_url, **bucket) as edge:
            token = edge.token()
            whole = await edge.get(SEGMENT, token)
            part = await edge.get(SEGMENT, token, headers={"Range": "bytes=-7", "If-Range": whole.headers["etag"]})
            missing = await edge.get(MASTER, token)
    assert (whole.status, whole.body) == (200, SEGMENT_BYTES)
    assert (part.status, part.body) == (206, SEGMENT_BYTES[-7:])
    assert missing.status == 404
