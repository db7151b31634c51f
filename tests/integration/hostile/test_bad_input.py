"""Bad input and what it gets: a clear 4xx in words, nothing half-visible, nothing lost, no 5xx.

Where each kind is proven (under tests/integration unless another folder is named); what was proven nowhere is below.

- not a video, truncated, text renamed .mp4: uploads/test_tus.py, farm/test_bad_masters.py, here from upload to studio
- a playlist or concat script as master: the same two and farm/test_run.py, here in disguise
- 0 bytes, huge declared size: uploads/test_tus.py
- wrong tus offset (409), wrong checksum (460), expired upload (410): uploads/test_tus.py
- wrong Content-Type, JSON of 10 MB, unknown fields: uploads/test_tus.py, control/test_limits.py, here on each route
- ids of other people's titles: control/test_catalogue.py, control/test_jobs.py, here byte by byte on each route
- path tricks: unit/edge/test_resolve.py, edge/test_playback.py, here on pages and static files
- tokens cut, mutated, of another title, by an unknown key: unit/edge/test_gate.py, here those of a real control
- anything else: control/test_openapi_garbage.py, hostile/test_fuzz.py
"""

from __future__ import annotations

import base64
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.app import ROUTES
from gateway.control.idempotency.model import HEADER
from gateway.control.outbox import OFFER
from gateway.control.route import Route
from gateway.web.pages import problem_rows
from shared import jobs
from shared.clock import ManualClock
from shared.ids import new_id
from shared.need import Offer
from shared.settings import ControlSettings
from tests.support import farm as farms
from tests.support import media
from tests.support.control import Control, make_admin, make_seller, register, running_control
from tests.support.edge import Answer, call, running_edge
from tests.support.paths import TRICKS
from tests.support.titles import Desk, desk, say

#: Codes that the page of problems explains.
EXPLAINED = {code for code, *_ in problem_rows()}
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = TUS | {"Content-Type": "application/offset+octet-stream"}
TEN_MB = b'{"name": "' + b"x" * (10 << 20) + b'"}'
#: What is for operators alone is forbidden to all others, whatever they name.
OF_SOMETHING = [
    route
    for route in ROUTES
    if re.search(r"\{(title|job|upload)\}", route.path) and not route.path.startswith("/v1/farm/")
]
WITH_BODY = [route for route in ROUTES if route.body is not None]


def named(route: Route) -> str:
    return route.name


@pytest.fixture
async def wide(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """Control with limits that do not get in the way."""
    async with running_control(msgspec.structs.replace(settings, limits_scale=1e6), clock) as control:
        yield control


@pytest.fixture
async def seller(wide: Control) -> Desk:
    return await desk(wide)


def assert_problem(answer: httpx2.Response, status: int, code: str) -> None:
    """An RFC 9457 problem a person can act on, and none of our insides."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["type"].removeprefix("/docs/problems#") in EXPLAINED and problem["title"]
    assert len(problem["detail"]) > 10 and problem["detail"][0].isupper() and problem["detail"].endswith(".")
    assert not re.search(r"Traceback|\.py|asyncpg|msgspec|redis|select |0x[0-9a-f]{6}", answer.text)


# Masters


async def upload(seller: Desk, title: str, data: bytes) -> httpx2.Response:
    """A whole master by tus; the last answer."""
    facts = {"title": title, "filename": "film.mp4"}
    metadata = ",".join(f"{name} {base64.b64encode(value.encode()).decode()}" for name, value in facts.items())
    headers = TUS | {"Upload-Length": str(len(data)), "Upload-Metadata": metadata}
    begun = await seller.http.post("/v1/uploads", headers=headers)
    assert begun.status_code == 201, begun.text
    return await seller.http.patch(begun.headers["location"], content=data, headers=BYTES | {"Upload-Offset": "0"})


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def box_of_noise() -> Path:
    return media.written("noise-box.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\1\0moov" + b"\xff" * 248)


def playlist_box() -> Path:
    """A playlist behind a box that looks like a film's first."""
    return media.written("list-box.mp4", b"\0\0\0\x10ftypisom\0\0\0\0#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n")


LOOK_LIKE_FILMS: dict[str, tuple[Callable[[], Path], str]] = {
    "truncated": (lambda: media.derived("half.mp4", half, media.plain()), "truncated"),
    "noise in a film's box": (box_of_noise, "no-media"),
    "a playlist behind a film's box": (playlist_box, "truncated"),
}


@pytest.mark.parametrize(("make", "code"), LOOK_LIKE_FILMS.values(), ids=LOOK_LIKE_FILMS)
async def test_what_only_looks_like_a_film_is_refused_in_words_and_a_right_one_is_taken_after_it(
    wide: Control, seller: Desk, redis: Redis, tmp_path: Path, make: Callable[[], Path], code: str
) -> None:
    title = await seller.title()
    assert (await upload(seller, title["id"], make().read_bytes())).status_code == 204

    async with farms.farm(tmp_path, wide.settings.redis_url) as farm:
        (offered,) = await wide.rows("select data from outbox where topic = 'task' and type = $1", OFFER)
        (ticket,) = msgspec.convert(offered["data"], Offer).work.values()
        assert await farm.perform(ticket) == "refused"
        started, failed = await farm.messages()
        assert isinstance(started, jobs.Started) and isinstance(failed, jobs.Failed) and failed.code == code
        await say(wide, started)
        await say(wide, failed)
        assert await farm.keys("v/") == await farm.keys("work/") == []

    (item,) = (await seller.ask("GET", "studio/titles"))["items"]
    assert (item["state"], item["job"]["state"]) == ("draft", "failed")
    assert item["job"]["last_error"] == failed.words and len(failed.words) > 20
    assert (await seller.ask("GET", "titles"))["items"] == []
    assert_problem(await seller.http.post(f"/v1/titles/{title['id']}/publish"), 409, "conflict")
    assert (await upload(seller, title["id"], media.plain().read_bytes())).status_code == 204
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "processing"


IN_DISGUISE = {
    "behind a byte order mark": b"\xef\xbb\xbf#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n",
    "behind blank lines": b"\n\n  #EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n",
    "an encrypted one": b'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="file:///etc/shadow"\n#EXTINF:4,\nx.ts\n',
    "a concat script": b"ffconcat version 1.0\nfile 'http://169.254.169.254/'\n",
    "a bare list": b"file '/etc/passwd'\n",
    "DASH": b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/</BaseURL></MPD>",
    "a session description": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n",
    "a picture list": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
    "subtitles": b"WEBVTT\n\n00:00.000 --> 00:02.000\nHello\n",
    "a program": b"\x7fELF\x02\x01\x01" + bytes(200),
}


@pytest.mark.parametrize("data", IN_DISGUISE.values(), ids=IN_DISGUISE)
async def test_what_names_other_files_is_never_taken(wide: Control, seller: Desk, data: bytes) -> None:
    title = await seller.title()
    assert_problem(await upload(seller, title["id"], data), 415, "not-a-master")
    assert [info.key async for info in wide.wiring["bucket"].list_prefix("")] == []
    assert await wide.rows("select id from job") == []
    assert (await seller.ask("GET", f"titles/{title['id']}"))["state"] == "draft"


# Bodies


@pytest.fixture
async def admin(wide: Control) -> httpx2.AsyncClient:
    """Somebody who may do everything, so that nothing but the body is refused."""
    await make_admin(wide, (await register(wide.http, "boss"))["id"])
    await make_seller(wide.http, "films")
    return wide.http


def place_of(route: Route) -> str:
    return re.sub(r"\{\w+(:\w+)?\}", "x", route.path)


async def test_ten_megabytes_are_refused_by_every_route(admin: httpx2.AsyncClient) -> None:
    for route in WITH_BODY:
        json = {"Content-Type": "application/json"}
        answer = await admin.request(route.method, place_of(route), content=TEN_MB, headers=json)
        assert_problem(answer, 413, "too-large")


async def test_unknown_fields_are_named_by_every_route(wide: Control, admin: httpx2.AsyncClient) -> None:
    before = await wide.rows("select count(*) as n from outbox")
    for route in WITH_BODY:
        answer = await admin.request(route.method, place_of(route), json={"is_admin": True})
        assert_problem(answer, 422, "invalid")
        assert "is_admin" in answer.json()["detail"], route.name
    assert await wide.rows("select count(*) as n from outbox") == before


async def test_another_content_type_is_refused_by_every_route(admin: httpx2.AsyncClient) -> None:
    for route in WITH_BODY:
        xml = {"Content-Type": "application/xml"}
        answer = await admin.request(route.method, place_of(route), content=b"<a/>", headers=xml)
        assert_problem(answer, 415, "unsupported")


# Ids of other people


LIKELY_BODY = {
    "change_title": {"name": "Mine now"},
    "take_down_title": {"reason": "x", "notice": "x"},
    "play": {},
    "check_out": {"offer": "off_1", "version": 1},
    "create_offer": {"kind": "own", "amount": 500},
    "change_offer": {"version": 1, "amount": 1, "currency": "USD"},
    "put_partners": {"items": []},
}


@pytest.mark.parametrize("route", OF_SOMETHING, ids=named)
async def test_what_belongs_to_others_is_answered_as_what_does_not_exist(
    wide: Control, seller: Desk, route: Route
) -> None:
    mine = await seller.title()
    job = (await seller.queue(mine["id"])).id
    (made,) = await wide.rows("select id from upload")
    theirs = {"title": mine["id"], "job": job, "upload": made["id"]}
    nobodys = {"title": new_id("ttl"), "job": new_id("job"), "upload": new_id("upl")}
    stranger = wide.browser()
    await register(stranger, "stranger")
    before = await state_of(wide)

    answers = []
    for ids in (theirs, nobodys, dict.fromkeys(theirs, "../../etc/passwd")):
        others = {"username": "stranger", "language": "en", "offer": "off_1"}
        path = route.path.format(**others, **{name: quoted(id) for name, id in ids.items()})
        headers = BYTES | {"Upload-Offset": "0"} if "upload" in route.path else {}
        headers = headers | {HEADER: new_id("key")}
        answers.append(await stranger.request(route.method, path, headers=headers, json=LIKELY_BODY.get(route.name)))
    first, second, third = answers
    assert first.status_code == second.status_code == third.status_code == 404
    assert first.content == second.content
    if route.method != "HEAD":
        assert_problem(first, 404, "not-found")
    told = [{name for name in one.headers if not name.startswith("ratelimit")} for one in (first, second)]
    assert told[0] == told[1]
    assert await state_of(wide) == before


def quoted(id: str) -> str:
    return id.replace("/", "%2F")


async def state_of(control: Control) -> list[Any]:
    """All that a stranger might have changed."""
    return [
        await control.rows("select * from title"),
        await control.rows("select * from job"),
        await control.rows("select id, state, offset_bytes from upload"),
        await control.rows("select * from entitlement"),
    ]


# Paths


@pytest.mark.parametrize("prefix", ["/static/", "/static/css/", "/watch/", "/v1/titles/", "/v1/", "/"])
async def test_no_path_trick_finds_a_file_in_control(wide: Control, prefix: str) -> None:
    for trick in ["../../../../etc/passwd", "..%2f..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", *TRICKS]:
        answer = await as_sent(wide, prefix + trick)
        assert answer.status in (301, 302, 307, 308, 404) or prefix + trick in ("/", "/v1/titles/"), (trick, answer)
        assert b"root:" not in answer.body and b"import annotations" not in answer.body


async def as_sent(control: Control, target: str) -> Answer:
    """GET exactly this target: clients tidy paths up before they send them."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": unquote(target, errors="replace"),
        "raw_path": target.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1")],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 80),
    }
    return await call(cast(Any, control.http)._transport.app, scope)


# Tokens


async def test_tokens_of_control_that_were_tampered_with_open_nothing_at_the_edge(
    wide: Control, seller: Desk, redis: Redis, tmp_path: Path
) -> None:
    one, other = await seller.published(price_minor=0), await seller.published(price_minor=0, name="Another")
    url = (await seller.ask("POST", f"titles/{one['id']}/play"))["url"]
    token, path = url.split("/t/")[1].split("/", 1)
    elsewhere = path.replace(one["id"], other["id"])
    public = msgspec.json.decode((await wide.http.get("/.well-known/jwks.json")).content)
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(public))
    for title in (one["id"], other["id"]):
        playlist = tmp_path / "bucket" / path.replace(one["id"], title)
        playlist.parent.mkdir(parents=True)
        playlist.write_text("#EXTM3U\n")

    async with running_edge(tmp_path, wide.settings.redis_url, jwks_file=tmp_path / "jwks.json") as edge:
        assert_refused(await edge.get(elsewhere, token), 403, "scope")
        for wrong, code in tampered(token).items():
            assert_refused(await edge.get(path, wrong, address=f"192.0.2.{len(wrong) % 250}"), 401, code)
        assert_refused(await edge.get(path, edge.token(scope=f"v/{one['id']}/")), 401, "token-unknown-key")
        assert await redis.keys("seat:*") == []
        assert (await edge.get(path, token)).status == 200


def tampered(token: str) -> dict[str, str]:
    """Tokens that are none any more, and how each is refused."""
    head, body, signature = token.split(".")
    claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    longer = base64.urlsafe_b64encode(msgspec.json.encode(claims | {"hmx": claims["hmx"] + 9999})).rstrip(b"=").decode()
    flipped = ("A" if signature[9] != "A" else "B").join((signature[:9], signature[10:]))
    return {
        token[:-1]: "token-malformed",
        token[:-2]: "token-forged",
        f"{head}.{body}": "token-malformed",
        f"{head}.{body}.": "token-malformed",
        f"{token}=": "token-malformed",
        f"{token}.x": "token-malformed",
        "x" * 1100: "token-malformed",
        f"{head}.{body}.{flipped}": "token-forged",
        f"{head}.{longer}.{signature}": "token-forged",
    }


def assert_refused(answer: Answer, status: int, code: str) -> None:
    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json"), answer.body
    problem = answer.json()
    assert (problem["status"], problem["code"]) == (status, code)
    assert problem["title"] and len(problem["detail"]) > 10
