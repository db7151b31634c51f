"""Screens in use: who sees them, who stops them, and what of that outlives Redis."""

from __future__ import annotations

from typing import Any

import httpx2
import msgspec
from redis.asyncio import Redis

from shared.events import EDGE_PUSH, Push
from shared.seats import Claim, Seats, live
from tests.integration.control.test_screenings import claims_in, play
from tests.support.control import Control, code_of, log_in, register
from tests.support.titles import Desk

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


async def sit(control: Control, http: httpx2.AsyncClient, title: str, **order: Any) -> tuple[str, str]:
    """Play a title and take its seat, as an edge does; sid and sub."""
    claims = await claims_in(control, str((await play(http, title, **order))["url"]))
    seats = Seats(control.wiring["redis"], lease_s=45, policy="refuse")
    claim = Claim(
        sub=claims.sub,
        sid=claims.sid,
        cap=9,
        hmx=claims.hmx,
        may_start=True,
        device=claims.d,
        place="10.0.0.0/24",
        title=title,
    )
    assert (await seats.take(claim)).state == "seated"
    return claims.sid, claims.sub


async def two_screens(control: Control, title: str) -> tuple[httpx2.AsyncClient, httpx2.AsyncClient]:
    """Two browsers of one account."""
    one, two = control.browser(**{"User-Agent": FIREFOX}), control.browser("10.4.0.2")
    await register(one, "vera")
    await log_in(two, "vera")
    return one, two


async def screens(http: httpx2.AsyncClient) -> list[dict[str, Any]]:
    answer = await http.get("/v1/me/sessions")
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_screens_are_listed_by_what_player_or_login_is_called(control: Control, seller: Desk) -> None:
    title = await seller.published(name="Harbour")
    one, two = await two_screens(control, title["id"])
    first, _ = await sit(control, one, title["id"])
    second, _ = await sit(control, two, title["id"], device=" Kitchen \n TV ")
    shown = await screens(one)
    assert [(seat["id"], seat["device"], seat["current"]) for seat in shown] == [
        (first, "Firefox on Linux", True),
        (second, "Kitchen TV", False),
    ]
    assert shown[0]["title"] == {"id": title["id"], "name": "Harbour", "watch_url": title["watch_url"]}
    assert shown[0]["place"] == "10.0.0.0/24" and shown[0]["since"].endswith("Z")
    assert [seat["current"] for seat in await screens(two)] == [False, True]


async def test_screen_shows_the_title_it_went_on_to(control: Control, seller: Desk) -> None:
    first, second = await seller.published(name="One"), await seller.published(name="Two")
    guest = control.browser()
    sid, _ = await sit(control, guest, first["id"])
    assert (await play(guest, second["id"]))["sid"] == sid
    assert [seat["title"]["name"] for seat in await screens(guest)] == ["Two"]


async def test_screen_that_is_stopped_is_free_at_once_and_over_for_good(
    control: Control, seller: Desk, redis: Redis
) -> None:
    title = await seller.published()
    one, two = await two_screens(control, title["id"])
    sid, sub = await sit(control, one, title["id"])
    channel = redis.pubsub()
    await channel.subscribe(EDGE_PUSH)
    await channel.get_message(timeout=60)
    assert (await two.delete(f"/v1/me/sessions/{sid}")).status_code == 204
    assert await live(redis, sub) == []
    heard = await channel.get_message(timeout=60)
    assert heard and msgspec.json.decode(heard["data"], type=Push).key == sid
    await channel.aclose()
    assert await redis.hget(f"gone:{{{sub}}}", sid) == b"stopped"
    kept = await control.rows("select kind, key, reason from revocation")
    assert kept == [{"kind": "sid", "key": sid, "reason": "stopped"}]
    ended = await control.events("playback.ended")
    assert ended[0]["data"] == {"sid": sid, "sub": sub, "title": title["id"], "reason": "stopped"}
    assert (await play(one, title["id"]))["sid"] != sid
    assert (await two.delete(f"/v1/me/sessions/{sid}")).status_code == 204, "twice is once"


async def test_screen_stays_stopped_when_redis_forgot_its_end(control: Control, seller: Desk, redis: Redis) -> None:
    title = await seller.published()
    one = control.browser()
    sid, sub = await sit(control, one, title["id"])
    await one.delete(f"/v1/me/sessions/{sid}")
    await redis.delete(f"gone:{{{sub}}}")
    await redis.hset("edge:revoked", f"sid:{sid}", "9999999999")
    await redis.zadd(f"seat:{{{sub}}}", {sid: 9999999999})
    assert (await play(one, title["id"]))["sid"] != sid


async def test_screen_of_somebody_else_is_not_known(control: Control, seller: Desk) -> None:
    title = await seller.published()
    one, _ = await two_screens(control, title["id"])
    sid, sub = await sit(control, one, title["id"])
    other = control.browser("10.4.0.9")
    await register(other, "eve")
    for id in (sid, "nothing", "%00"):
        assert (await other.delete(f"/v1/me/sessions/{id}")).status_code in (404, 422)
    assert len(await live(control.wiring["redis"], sub)) == 1
    assert await screens(other) == []
    nobody = control.browser("10.4.0.8")
    for answer in (
        await nobody.get("/v1/me/sessions"),
        await nobody.delete("/v1/me/sessions"),
        await nobody.delete(f"/v1/me/sessions/{sid}"),
    ):
        assert code_of(answer) == (401, "unauthenticated")


async def test_all_other_screens_are_stopped_and_ones_own_plays_on(control: Control, seller: Desk) -> None:
    title = await seller.published()
    one, two = await two_screens(control, title["id"])
    third = control.browser("10.4.0.3")
    await log_in(third, "vera")
    mine, sub = await sit(control, one, title["id"])
    for http in (two, third):
        await sit(control, http, title["id"])
    assert (await one.delete("/v1/me/sessions")).status_code == 204
    assert [seat.sid for seat in await live(control.wiring["redis"], sub)] == [mine]
    assert len(await control.events("playback.ended")) == 2


async def test_device_that_is_logged_out_stops_playing(control: Control, seller: Desk) -> None:
    title = await seller.published()
    one, two = await two_screens(control, title["id"])
    mine, sub = await sit(control, one, title["id"])
    theirs, _ = await sit(control, two, title["id"])
    devices = (await one.get("/v1/me/devices")).json()["items"]
    other = next(device["id"] for device in devices if not device["current"])
    assert (await one.delete(f"/v1/me/devices/{other}")).status_code == 204
    assert [seat.sid for seat in await live(control.wiring["redis"], sub)] == [mine]
    assert [event["subject"] for event in await control.events("playback.ended")] == [theirs]


async def test_screens_cannot_be_told_when_redis_is_dead_but_are_stopped_all_the_same(
    control: Control, seller: Desk
) -> None:
    title = await seller.published()
    one, _ = await two_screens(control, title["id"])
    sid, _ = await sit(control, one, title["id"])
    dead: Redis = Redis.from_url("redis://127.0.0.1:1/0")
    control.wiring["redis"], control.wiring["seats"] = dead, Seats(dead, lease_s=0, policy="refuse")
    assert code_of(await one.get("/v1/me/sessions")) == (503, "unavailable")
    assert (await one.delete(f"/v1/me/sessions/{sid}")).status_code == 204
    devices = (await one.get("/v1/me/devices")).json()["items"]
    assert (await one.delete(f"/v1/me/devices/{devices[1]['id']}")).status_code == 204
    waiting = await control.rows("select subject from outbox where topic = 'push' and relayed_at is null")
    assert waiting == [{"subject": sid}]


async def test_sessions_are_forgotten_when_their_links_are_over(control: Control, seller: Desk) -> None:
    title = await seller.published()
    await play(control.browser(), title["id"])
    async with control.wiring["begin"]() as unit:
        await unit.screenings.sweep(control.clock.now())
    assert len(await control.rows("select sid from screening")) == 1
    control.clock.advance(control.settings.play_hard_end_s)
    async with control.wiring["begin"]() as unit:
        await unit.screenings.sweep(control.clock.now())
    assert await control.rows("select sid from screening") == []


async def test_binding_is_the_installations_unless_the_title_says_otherwise(control: Control, seller: Desk) -> None:
    title = await seller.published()
    seen = []
    for change in ({}, {"binding": "hard"}, {"binding": "off"}, {"binding": None}):
        told = await seller.ask("PATCH", f"titles/{title['id']}", 200, change)
        claims = await claims_in(control, str((await play(control.browser(), title["id"]))["url"]))
        seen.append((told["binding"], claims.b))
    assert seen == [(None, "soft"), ("hard", "hard"), ("off", "off"), (None, "soft")]
    await seller.ask("PATCH", f"titles/{title['id']}", 422, {"binding": "loose"})
    assert (await control.browser().get(f"/v1/titles/{title['id']}")).json()["binding"] is None


async def test_player_is_told_to_report_when_the_flag_is_on_for_its_viewer(control: Control, seller: Desk) -> None:
    title = await seller.published()
    player = (await play(control.browser(), title["id"]))["player"]
    assert isinstance(player, dict) and player["cmcd"] is False
    await control.wiring["redis"].hset("flags", "qoe.enabled", b'{"enabled":true,"percent":100}')
    control.clock.advance(2)
    player = (await play(control.browser(), title["id"]))["player"]
    assert isinstance(player, dict) and player["cmcd"] is True
