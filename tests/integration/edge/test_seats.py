"""Seats on a real Valkey: the cap, pauses, takeovers, revocations and what control is told."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared import seats
from shared.events import EDGE_STREAM, REVOKED, Envelope, Push
from tests.support.edge import MASTER, OTHER, SEGMENT, TITLE, EdgeUnderTest, running_edge, until


async def told(redis: Redis) -> list[Envelope]:
    """What the edge has told control so far."""
    entries = await redis.xrange(EDGE_STREAM)
    return [msgspec.json.decode(fields[b"e"], type=Envelope) for _, fields in entries]


async def until_told(redis: Redis, kinds: list[str]) -> list[Envelope]:
    async def complete() -> bool:
        return len(await told(redis)) >= len(kinds)

    await until(complete)
    found = await told(redis)
    assert [event.type for event in found] == kinds
    return found


async def until_status(edge: EdgeUnderTest, token: str, status: int) -> Any:
    async def reached() -> bool:
        return (await edge.get(MASTER, token)).status == status

    await until(reached)
    return (await edge.get(MASTER, token)).json()


async def until_free(redis: Redis) -> None:
    async def free() -> bool:
        return await seats.live(redis, "viewer") == []

    await until(free)


async def test_the_cap_holds_when_many_ask_at_once_of_two_edges(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as one, running_edge(folder, redis_url, key_set=one.key_set) as two:
        for round_ in range(5):
            sub = f"viewer{round_}"
            tokens = [one.token(sub=sub, cap=3) for _ in range(30)]
            answers = await asyncio.gather(*(edge.get(MASTER, token) for token in tokens for edge in (one, two)))
            seated = {index // 2 for index, answer in enumerate(answers) if answer.status == 200}
            assert len(seated) == 3
            assert {answer.status for answer in answers} == {200, 409}
            assert len(await seats.live(redis, sub)) == 3


async def test_a_full_house_is_409_with_the_list_of_screens(edge: EdgeUnderTest) -> None:
    for device, address in (("tv", "192.0.2.1"), ("phone", "2001:db8:7::1")):
        assert (await edge.get(MASTER, edge.token(d=device), address=address)).status == 200
    refused = await edge.get(MASTER, edge.token())
    problem = refused.json()
    assert (refused.status, problem["code"], problem["cap"]) == (409, "seats-full", 2)
    assert "watching on 2 screens" in problem["detail"]
    assert [(seat["device"], seat["place"]) for seat in problem["seats"]] == [
        ("tv", "192.0.2.0/24"),
        ("phone", "2001:db8:7::/48"),
    ]
    assert all(abs(seat["since"] - edge.clock.now()) < 60 for seat in problem["seats"])
    assert (await edge.get(SEGMENT, edge.token())).status == 409


async def test_end_frees_the_seat_and_the_session_may_come_back(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url, seat_end_s=0) as edge:
        first, second = edge.token(cap=1), edge.token(cap=1)
        assert (await edge.get(MASTER, first)).status == 200
        assert (await edge.get(MASTER, second)).status == 409
        assert (await edge.post("end", first)).status == 204
        assert (await edge.get(MASTER, second)).status == 200
        assert (await edge.get(MASTER, first)).status == 409
        assert (await edge.post("end", second)).status == 204
        assert (await edge.get(MASTER, first)).status == 200


async def test_reload_keeps_its_seat_when_another_screen_waits(folder: Path, redis: Redis, redis_url: str) -> None:
    async with (
        running_edge(folder, redis_url, seat_end_s=60) as edge,
        running_edge(folder, redis_url, key_set=edge.key_set, seat_end_s=1) as brief,
    ):
        await edge.until_it_hears()  # else it may renew the seat that the other edge gives back
        watching, waiting = edge.token(cap=1), edge.token(cap=1)
        assert (await edge.get(MASTER, watching)).status == 200
        assert (await edge.post("end", watching)).status == 204
        assert (await edge.get(MASTER, waiting)).status == 409
        assert (await edge.get(MASTER, watching)).status == 200
        assert (await seats.live(redis, "viewer"))[0].until > edge.clock.now() + 10

        assert (await brief.get(MASTER, watching)).status == 200
        assert (await brief.post("end", watching)).status == 204
        await until_free(redis)
        assert (await brief.get(MASTER, waiting)).status == 200


async def test_end_needs_a_genuine_token(edge: EdgeUnderTest, redis: Redis) -> None:
    token = edge.token()
    await edge.get(MASTER, token)
    assert (await edge.post("end", token[:-4] + "AAAA")).status == 401
    assert len(await seats.live(redis, "viewer")) == 1


async def test_a_pause_longer_than_exp_and_lease_plays_on_with_the_same_url(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    async with running_edge(folder, redis_url, seat_lease_s=1, seat_renew_s=1) as edge:
        token = edge.token()
        assert (await edge.get(MASTER, token)).status == 200
        edge.clock.ahead_s = 3600
        await until_free(redis)

        async def seated_again() -> bool:
            assert (await edge.get(SEGMENT, token)).status == 200
            return len(await seats.live(redis, "viewer")) == 1

        await until(seated_again)
        async with running_edge(folder, redis_url, key_set=edge.key_set) as other:
            other.clock.ahead_s = 3600
            assert (await other.get(SEGMENT, token)).status == 200
        edge.clock.ahead_s = 7 * 3600
        assert (await edge.get(MASTER, token)).json()["code"] == "over"


async def test_a_link_not_started_in_time_is_refused_and_one_started_is_not(edge: EdgeUnderTest) -> None:
    started, late = edge.token(), edge.token()
    assert (await edge.get(MASTER, started)).status == 200
    edge.clock.ahead_s = 301
    refused = await edge.get(MASTER, late)
    assert (refused.status, refused.json()["code"]) == (401, "start-window-over")
    assert (await edge.get(MASTER, started)).status == 200


async def test_a_seat_lost_in_a_pause_is_taken_again_when_one_is_free(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    async with (
        running_edge(folder, redis_url, seat_lease_s=1, seat_renew_s=1) as edge,
        running_edge(folder, redis_url, key_set=edge.key_set, seat_end_s=0) as elsewhere,
    ):
        paused, other = edge.token(cap=1), edge.token(cap=1)
        await edge.get(MASTER, paused)
        edge.clock.ahead_s = 400
        await until_free(redis)
        assert (await elsewhere.get(MASTER, other)).status == 200
        assert (await edge.get(MASTER, paused)).status == 409
        await elsewhere.post("end", other)
        await until_free(redis)
        assert (await edge.get(MASTER, paused)).status == 200


async def test_beats_keep_the_seat_of_a_paused_player(folder: Path, redis: Redis, redis_url: str) -> None:
    async with running_edge(folder, redis_url, seat_renew_s=0) as edge:
        token = edge.token()
        await edge.get(MASTER, token)
        first = (await seats.live(redis, "viewer"))[0]

        async def kept_past_the_first_lease() -> bool:
            assert (await edge.post("beat", token)).status == 204
            (seat,) = await seats.live(redis, "viewer")
            assert seat.since == first.since
            return seat.until > first.until

        await until(kept_past_the_first_lease)


async def test_a_new_token_for_a_live_session_is_the_same_screen(edge: EdgeUnderTest, redis: Redis) -> None:
    now = int(edge.clock.now())
    old = edge.token(sid="session-shared", cap=1)
    new = edge.token(sid="session-shared", cap=1, iat=now + 5, exp=now + 305, hmx=now + 9000)
    assert [(await edge.get(MASTER, token)).status for token in (old, new, old, new)] == [200] * 4
    assert len(await seats.live(redis, "viewer")) == 1


async def test_a_session_at_its_hard_end_takes_up_no_screen_and_its_stop_names_its_title(
    edge: EdgeUnderTest, redis: Redis
) -> None:
    token = edge.token(cap=1, sid="session-short", hmx=int(time.time()) + 2)
    assert (await edge.get(MASTER, token)).status == 200
    assert [seat.until <= seat.hmx for seat in await seats.live(redis, "viewer")] == [True]
    await until_free(redis)
    assert (await edge.get(MASTER, edge.token(cap=1))).status == 200
    told_of = await until_told(redis, ["playback.start", "playback.stop", "playback.start"])
    assert [event.data["title"] for event in told_of] == [TITLE] * 3


async def test_a_renewed_link_keeps_the_screen_past_the_end_of_the_one_before(
    edge: EdgeUnderTest, redis: Redis
) -> None:
    now = int(edge.clock.now())
    old = edge.token(sid="session-shared", cap=1, hmx=now + 4)
    new = edge.token(sid="session-shared", cap=1, iat=now + 5, exp=now + 305, hmx=now + 9000)
    for token in (old, new):
        assert (await edge.get(MASTER, token)).status == 200

    async def known() -> bool:
        return [seat.until > now + 10 for seat in await seats.live(redis, "viewer")] == [True]

    await until(known)


async def test_takeover_ends_the_oldest_screen_and_it_cannot_come_back(
    folder: Path, redis: Redis, redis_url: str
) -> None:
    policy = {"seats_policy": "takeover_oldest"}
    async with (
        running_edge(folder, redis_url, **policy) as one,
        running_edge(folder, redis_url, key_set=one.key_set, **policy) as two,
    ):
        await one.until_it_hears()
        first, second, third = (one.token() for _ in range(3))
        assert (await one.get(MASTER, first)).status == 200
        assert (await one.get(MASTER, second)).status == 200
        assert (await two.get(MASTER, third)).status == 200
        assert (await until_status(one, first, 410))["code"] == "taken-over"
        assert (await two.get(MASTER, first)).json()["code"] == "taken-over"
        assert [(await one.get(MASTER, token)).status for token in (second, third)] == [200, 200]
        assert len(await seats.live(redis, "viewer")) == 2
        async with running_edge(folder, redis_url, key_set=one.key_set, **policy) as untold:
            assert (await untold.get(MASTER, first)).json()["code"] == "taken-over"


@pytest.mark.parametrize(
    ("kind", "key", "reason", "code"),
    [
        ("title", TITLE, "taken down for a notice", "revoked"),
        ("sub", "viewer", "revoked", "revoked"),
        ("sid", "session-known", "taken-over", "taken-over"),
    ],
)
async def test_a_revocation_ends_running_play_and_spares_later_tokens(
    edge: EdgeUnderTest, redis: Redis, kind: Any, key: str, reason: str, code: str
) -> None:
    await edge.until_it_hears()
    now = int(edge.clock.now())
    token = edge.token(sid="session-known", iat=now)
    other = edge.token(sub="somebody", scope=f"v/{OTHER}/")
    assert (await edge.get(MASTER, token)).status == 200
    await edge.get(f"v/{OTHER}/e/ed1/720.m3u8", other)
    await seats.revoke(redis, Push(kind=kind, key=key, iat=now, reason=reason))
    assert (await until_status(edge, token, 410))["code"] == code
    await until_free(redis)
    assert (await edge.get(f"v/{OTHER}/e/ed1/720.m3u8", other)).status == 200
    later = edge.token(sid="session-known", iat=now + 1)
    assert (await edge.get(MASTER, later)).status == 200
    assert (await edge.get(MASTER, token)).status == 410


async def test_a_revocation_before_the_edge_started_holds(folder: Path, redis: Redis, redis_url: str) -> None:
    await seats.revoke(redis, Push(kind="title", key=TITLE, iat=2_000_000_000, reason="x"))
    async with running_edge(folder, redis_url) as edge:
        assert (await until_status(edge, edge.token(), 410))["code"] == "revoked"


async def test_old_revocations_are_swept(redis: Redis) -> None:
    await seats.revoke(redis, Push(kind="sub", key="old", iat=100, reason="x"))
    await seats.revoke(redis, Push(kind="sub", key="new", iat=200, reason="x"))
    assert await seats.sweep_revoked(redis, before=200) == 1
    assert await redis.hkeys(REVOKED) == [b"sub:new"]


async def test_hard_binding_refuses_another_place_and_off_does_not(edge: EdgeUnderTest) -> None:
    hard, off = edge.token(b="hard"), edge.token()
    for token in (hard, off):
        assert (await edge.get(MASTER, token, address="192.0.2.1")).status == 200
        assert (await edge.get(MASTER, token, address="192.0.2.200")).status == 200
    assert (await edge.get(MASTER, hard, address="198.51.100.1")).json()["code"] == "binding"
    assert (await edge.get(MASTER, off, address="198.51.100.1")).status == 200


async def test_control_is_told_of_start_first_media_and_stop(edge: EdgeUnderTest, redis: Redis) -> None:
    token = edge.token(sid="session-told", d="device1")
    for path in (MASTER, SEGMENT, SEGMENT):
        await edge.get(path, token)
    for _ in range(2):
        await edge.post("end", token)
    start, media, stop = await until_told(redis, ["playback.start", "playback.first_media", "playback.stop"])
    assert {start.subject, media.subject, stop.subject} == {"session-told"}
    assert start.data["title"] == TITLE
    assert start.data["device"] == "device1"
    assert start.data["place"] == "192.0.2.0/24"
    assert stop.data["reason"] == "end"


async def test_control_is_told_of_the_first_media_of_each_title_of_a_session(edge: EdgeUnderTest, redis: Redis) -> None:
    one, two = edge.token(sid="session-two"), edge.token(sid="session-two", scope=f"v/{OTHER}/")
    for path, token in ((MASTER, one), (MASTER.replace(TITLE, OTHER), two), (SEGMENT, one)):
        assert (await edge.get(path, token)).status == 200
    _, first = await until_told(redis, ["playback.start", "playback.first_media"])
    assert first.data["title"] == TITLE
    await edge.get(SEGMENT.replace(TITLE, OTHER), two)
    second = (await until_told(redis, ["playback.start", "playback.first_media", "playback.first_media"]))[-1]
    assert second.data["title"] == OTHER


async def test_a_session_is_kept_to_the_end_of_its_newest_link(redis: Redis) -> None:
    now = int(time.time())
    screens = seats.Seats(redis, lease_s=45, policy="refuse")
    claim = seats.Claim(sub="viewer", sid="session-long", cap=2, hmx=now + 100, may_start=True)
    await screens.take(claim)
    await screens.take(msgspec.structs.replace(claim, hmx=now + 20_000))
    assert [seat.hmx for seat in await seats.live(redis, "viewer")] == [now + 20_000]
    assert await redis.ttl("sess:{viewer}") > 10_000


async def test_control_is_told_once_of_a_refused_session(edge: EdgeUnderTest, redis: Redis) -> None:
    await edge.get(MASTER, edge.token(cap=1))
    refused = edge.token(cap=1, sid="session-refused")
    for _ in range(5):
        assert (await edge.get(MASTER, refused)).status == 409
    _, event = await until_told(redis, ["playback.start", "playback.refused"])
    assert (event.subject, event.data["reason"]) == ("session-refused", "seats-full")


async def test_the_keys_of_a_viewer_end_by_themselves(edge: EdgeUnderTest, redis: Redis) -> None:
    token = edge.token(cap=1)
    await edge.get(MASTER, token)
    assert all([0 < await redis.ttl(key) <= 6 * 3600 + 60 for key in seats.keys("viewer")[:2]])
