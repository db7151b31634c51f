"""Watch time in the real database: from the edges' stream to rows, pages of it, and what is left of a person."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.watching import store
from gateway.control.watching.model import Key, Segments
from gateway.control.worker import streams
from shared.events import EDGE_STREAM, REVOKED, Envelope
from shared.jobs import Finished, Outline
from shared.metrics import REGISTRY
from shared.storage import names
from shared.watch import WATCH_STREAM, Watched
from tests.integration.control.test_catalogue_scale import plan_of
from tests.support.control import PASSWORD, Control, code_of, register
from tests.support.titles import Desk
from tests.support.worker import until, working

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n" + "#EXTINF:4.000000,\n0/0.m4s\n" * 2 + "#EXTINF:2.000000,\n0/2.m4s\n"


def version_of(title: str) -> str:
    """A version is of one title alone."""
    return f"v{title[-8:]}"


async def film(control: Control, seller: Desk, **about: Any) -> str:
    """A published title of ten seconds: segments of 4, 4 and 2."""
    title = str((await seller.published(**about))["id"])
    version = version_of(title)
    made = Finished(
        version=version, edition="e1", ceilings=("720", "360"), duration_s=10, width=1280, height=720, has_poster=True
    )
    bucket = control.wiring["bucket"]
    await bucket.put(names.ready(title, version), msgspec.json.encode(made))
    await bucket.put(names.media_playlist(title, version, "720"), PLAYLIST.encode())
    return title


async def sub_of(control: Control, principal: str) -> str:
    return str((await control.rows("select sub from principal where id = $1", principal))[0]["sub"])


async def viewer(control: Control, name: str = "vera") -> tuple[httpx2.AsyncClient, str]:
    """Somebody's browser and pseudonym."""
    http = control.browser(f"10.2.0.{len(name)}")
    return http, await sub_of(control, (await register(http, name))["id"])


def entry(control: Control, sub: str, title: str, bits: int = 0, **more: Any) -> Watched:
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    told = {"sid": "s", "version": version_of(title), "base": 0, "at": control.clock.epoch(), **more}
    return Watched(sub=sub, title=title, bits=data, **told)


async def take(control: Control, *entries: Watched) -> None:
    wiring = control.wiring
    await streams.take_watched(entries, begin=wiring["begin"], timelines=wiring["timelines"], clock=control.clock)


async def seconds(control: Control, title: str) -> list[tuple[str, int]]:
    rows = await control.rows("select day, watched_ms from watched_day where title = $1 order by day", title)
    return [(str(row["day"]), row["watched_ms"]) for row in rows]


async def all_read(redis: Redis, stream: str) -> bool:
    """Whether the worker took in and acknowledged every entry."""
    groups = await redis.xinfo_groups(stream) if await redis.exists(stream) else []
    return bool(groups) and groups[0]["lag"] == 0 and groups[0]["pending"] == 0


async def test_entries_of_the_stream_become_watch_time_when_the_worker_runs(
    control: Control, seller: Desk, redis: Redis
) -> None:
    title = await film(control, seller)
    http, sub = await viewer(control)
    good = msgspec.json.encode(entry(control, sub, title, 0b101, position_s=5.5))
    async with working(control):
        for data in (b"not an entry", good, good):
            await redis.xadd(WATCH_STREAM, {"w": data})
        await redis.xadd(WATCH_STREAM, {"x": b""})
        await until(lambda: seconds(control, title))
        await until(lambda: all_read(redis, WATCH_STREAM))
    assert await seconds(control, title) == [(str(control.clock.now().date()), 6000)]
    items = (await http.get("/v1/me/watching")).json()["items"]
    assert [(one["title"]["id"], one["position_s"], one["duration_s"], one["watched_s"]) for one in items] == [
        (title, 5.5, 10.0, 6.0)
    ]


async def test_nothing_is_added_when_an_entry_comes_again_and_order_does_not_matter(
    control: Control, seller: Desk
) -> None:
    title = await film(control, seller)
    _, sub = await viewer(control)
    later = entry(control, sub, title, 0b110, position_s=9.0)
    control.clock.advance(-60)
    earlier = entry(control, sub, title, 0b011, position_s=2.0)
    control.clock.advance(60)
    for one in (later, earlier, later, earlier):
        await take(control, one)
    assert await seconds(control, title) == [(str(control.clock.now().date()), 10_000)]
    rows = await control.rows("select position_s, watched_ms, seen_at from watching")
    assert rows == [{"position_s": 9.0, "watched_ms": 10_000, "seen_at": control.clock.now()}]
    assert (await control.rows("select picture from watched_segments"))[0]["picture"] == b"\x07"


async def test_sums_are_right_when_two_workers_take_the_same_entries_at_once(
    control: Control, seller: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = [await film(control, seller) for _ in range(3)]
    subs = [(await viewer(control, f"v{'x' * n}"))[1] for n in range(2, 5)]
    entries = [entry(control, sub, title, 1 << n) for n in range(3) for sub in subs for title in titles]
    await take(control, *(entry(control, sub, title) for sub in subs for title in titles))
    look, met = store.WatchStore.hold, asyncio.Barrier(2)

    async def together(rows: store.WatchStore, keys: Sequence[Key]) -> dict[Key, Segments]:
        found = await look(rows, keys)
        with contextlib.suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(0.5):
                await met.wait()
        return found

    monkeypatch.setattr(store.WatchStore, "hold", together)
    await asyncio.gather(take(control, *entries), take(control, *reversed(entries)))
    assert await control.rows("select distinct watched_ms from watched_day") == [{"watched_ms": 10_000}]
    assert (await control.rows("select count(*) as n from watched_day"))[0]["n"] == 9


async def test_unknown_viewers_versions_and_titles_are_counted_and_left_out(control: Control, seller: Desk) -> None:
    title = await film(control, seller)
    _, sub = await viewer(control)
    before = REGISTRY.get_sample_value("usher_watched_unknown_total") or 0.0
    strange = [
        entry(control, "sub_none", title, 1),
        entry(control, sub, title, 1, version="v2"),
        entry(control, sub, "ttl_none", 1),
        entry(control, sub, title, 1, version="../../masters"),
    ]
    await take(control, *strange, entry(control, sub, title, 1 << 400), entry(control, sub, title, 1))
    assert REGISTRY.get_sample_value("usher_watched_unknown_total") == before + 4
    assert await seconds(control, title) == [(str(control.clock.now().date()), 4000)]


async def test_timeline_is_read_from_the_bucket_once(control: Control, seller: Desk) -> None:
    title = await film(control, seller)
    _, sub = await viewer(control)
    await take(control, entry(control, sub, title, 1))
    version = version_of(title)
    await control.wiring["bucket"].delete([names.ready(title, version), names.media_playlist(title, version, "720")])
    fresh = type(control.wiring["timelines"])(control.wiring["begin"], control.wiring["bucket"])
    assert (await fresh.find(title, version_of(title))) == await control.wiring["timelines"].find(
        title, version_of(title)
    )
    assert (await control.rows("select ends_ms, sound from timeline")) == [
        {"ends_ms": [4000, 8000, 10000], "sound": False}
    ]


async def test_title_in_the_making_counts_by_the_playlist_of_its_plan(control: Control, seller: Desk) -> None:
    title = (await seller.making())[0]["id"]
    await seller.ask("POST", f"titles/{title}/publish")
    _, sub = await viewer(control)
    bucket, version = control.wiring["bucket"], version_of(title)
    segments = {"audio-0": 3, "720": 3}
    outline = Outline("job_1", 10.0, segments, chunks=(("0", 0, 2), ("1", 2, 1)), sounds=("audio-0",))
    await bucket.put(names.outline(title, version), msgspec.json.encode(outline))
    await take(control, entry(control, sub, title, 0b100))
    assert await seconds(control, title) == []
    await bucket.put(names.media_playlist(title, version, "720"), PLAYLIST.encode())
    await take(control, entry(control, sub, title, 0b101))
    assert await seconds(control, title) == [(str(control.clock.now().date()), 6000)]


async def test_title_in_the_making_counts_its_sound_where_it_has_no_picture(control: Control, seller: Desk) -> None:
    title = (await seller.making())[0]["id"]
    _, sub = await viewer(control)
    bucket, version = control.wiring["bucket"], version_of(title)
    outline = Outline("job_1", 10.0, {"audio-0": 3}, chunks=(), sounds=("audio-0",))
    await bucket.put(names.outline(title, version), msgspec.json.encode(outline))
    await bucket.put(names.media_playlist(title, version, "audio-0"), PLAYLIST.encode())
    data = bytes([0b011])
    await take(control, entry(control, sub, title, sound_bits=data))
    assert await seconds(control, title) == [(str(control.clock.now().date()), 8000)]


async def test_title_goes_on_where_it_was_left_and_begins_again_when_it_was_seen(
    control: Control, seller: Desk
) -> None:
    title = await film(control, seller)
    http, sub = await viewer(control)

    async def start() -> float:
        answer = await http.post(f"/v1/titles/{title}/play", json={})
        return float(answer.json()["player"]["start_s"])

    assert await start() == 0.0
    await take(control, entry(control, sub, title, 0b11, position_s=6.25))
    assert await start() == 6.2
    control.clock.advance(10)
    await take(control, entry(control, sub, title, 0b100, position_s=9.6))
    assert await start() == 0.0
    assert (await http.get("/v1/me/watching")).json()["items"] == []


async def test_guest_has_a_list_too_and_nobody_has_none(control: Control, seller: Desk) -> None:
    title = await film(control, seller)
    guest = control.browser("10.9.0.1")
    for path in ("me/watching", "me/watched"):
        assert code_of(await guest.get(f"/v1/{path}")) == (401, "unauthenticated")
    await guest.post(f"/v1/titles/{title}/play", json={})
    sub = (await control.rows("select sub from principal where kind = 'guest'"))[0]["sub"]
    await take(control, entry(control, sub, title, 1, position_s=3))
    assert len((await guest.get("/v1/me/watching")).json()["items"]) == 1


async def test_title_off_the_shelf_is_not_among_what_is_continued(control: Control, seller: Desk) -> None:
    title = await film(control, seller)
    http, sub = await viewer(control)
    await take(control, entry(control, sub, title, 1, position_s=3))
    assert len((await http.get("/v1/me/watching")).json()["items"]) == 1
    await seller.ask("POST", f"titles/{title}/archive")
    assert (await http.get("/v1/me/watching")).json()["items"] == []


async def test_days_are_told_to_the_viewer_and_their_sums_to_the_seller(control: Control, seller: Desk) -> None:
    title = await film(control, seller, name="Harbour")
    today = control.clock.now().date()
    (vera, sub), (otto, other) = await viewer(control), await viewer(control, "otto1")
    await take(control, entry(control, sub, title, 0b001), entry(control, other, title, 0b111))
    control.clock.advance(86400)
    await take(control, entry(control, sub, title, 0b111))
    mine = (await vera.get("/v1/me/watched")).json()
    assert [(one["day"], one["watched_s"], one["title"]["name"]) for one in mine["items"]] == [
        (str(today + timedelta(days=1)), 6.0, "Harbour"),
        (str(today), 4.0, "Harbour"),
    ]
    assert mine["watched_s"] == 10.0
    first = (await vera.get(f"/v1/me/watched?from={today}&to={today}")).json()
    assert first["watched_s"] == 4.0
    assert code_of(await vera.get("/v1/me/watched?from=soon")) == (422, "invalid")
    sums = await seller.ask("GET", f"titles/{title}/watched")
    assert sums == {
        "items": [
            {"day": str(today + timedelta(days=1)), "watched_s": 6.0},
            {"day": str(today), "watched_s": 14.0},
        ],
        "watched_s": 20.0,
    }
    assert code_of(await otto.get(f"/v1/titles/{title}/watched")) == (403, "forbidden")


async def test_person_takes_watch_time_away_and_leaves_only_sums(control: Control, seller: Desk) -> None:
    title = await film(control, seller)
    (vera, sub), (_, other) = await viewer(control), await viewer(control, "otto1")
    await vera.post(f"/v1/titles/{title}/play", json={"device": "Kitchen"})
    await take(control, *(entry(control, one, title, 0b11, position_s=4) for one in (sub, other)))
    mine = (await vera.get("/v1/me/export")).json()
    assert mine["watching"][0]["watched_s"] == 8.0 and mine["watched"][0]["title"] == title
    assert mine["watched_segments"][0]["picture"] == "03" and mine["screenings"][0]["device"] == "Kitchen"
    assert (await vera.request("DELETE", "/v1/me", json={"password": PASSWORD})).status_code == 204
    await take(control, entry(control, sub, title, 0b111))
    for table in ("watching", "watched_segments", "watched_day", "screening"):
        rows = await control.rows(f"select p.sub from {table} join principal p on p.id = principal")  # noqa: S608
        assert {row["sub"] for row in rows} <= {other}, table
    assert (await seller.ask("GET", f"titles/{title}/watched"))["watched_s"] == 16.0


async def test_shared_session_is_counted_once_and_stays_over(control: Control, seller: Desk, redis: Redis) -> None:
    title = await film(control, seller)
    viewer = control.browser()
    sid = (await viewer.post(f"/v1/titles/{title}/play", json={})).json()["sid"]
    data = {"sid": sid, "sub": "x", "title": title, "score": 3, "reason": "prefixes"}
    told = [Envelope(f"evt_{n}", "playback.sharing", control.clock.now(), sid, data) for n in (1, 1)]
    unknown = Envelope("evt_2", "playback.sharing", control.clock.now(), "none", {**data, "sid": "none"})
    before = REGISTRY.get_sample_value("usher_shared_links_total") or 0.0
    async with working(control):
        for envelope in (*told, unknown):
            await redis.xadd(EDGE_STREAM, {"e": msgspec.json.encode(envelope)})
        await until(lambda: redis.hget(REVOKED, f"sid:{sid}"))
        await until(lambda: all_read(redis, EDGE_STREAM))
    assert REGISTRY.get_sample_value("usher_shared_links_total") == before + 2
    pushed = await control.rows("select data from outbox where topic = 'push'")
    assert [(row["data"]["key"], row["data"]["reason"]) for row in pushed] == [(sid, "shared")]


async def test_first_media_is_noted_once_when_edges_tell_it_twice(control: Control, seller: Desk, redis: Redis) -> None:
    title = await film(control, seller)
    _, sub = await viewer(control)
    at = control.clock.now()
    data = {"sid": "s", "sub": sub, "title": title}
    told = [Envelope(f"evt_{n}", "playback.first_media", at + timedelta(seconds=n), "s", data) for n in (5, 0, 5)]
    async with working(control):
        for envelope in told:
            await redis.xadd(EDGE_STREAM, {"e": msgspec.json.encode(envelope)})
        await until(lambda: all_read(redis, EDGE_STREAM))
    rows = await control.rows("select first_at, seen_at from watching")
    assert rows == [{"first_at": at, "seen_at": at + timedelta(seconds=5)}]


async def test_queries_of_watch_time_use_their_indexes_when_tables_are_large(control: Control, seller: Desk) -> None:
    assert seller.seller["id"]
    fill = (
        "insert into principal (id, kind, sub) select 'usr_' || g, 'guest', 'sub_' || g "
        "from generate_series(1, 20000) g",
        "insert into title (id, seller, kind, short_id, short_folded, slug, name, state, duration_s) "
        "select 'ttl_' || g, s.id, 'video', g, g, g, 'A', 'published', 10 from seller s, generate_series(1, 5000) g",
        "insert into watching (principal, title, position_s, seen_at) "
        "select 'usr_' || (g / 5), 'ttl_' || (g % 5000 + 1), 5, now() from generate_series(5, 40000) g",
        "insert into watched_segments (principal, title, version) "
        "select 'usr_' || (g / 5), 'ttl_' || (g % 5000 + 1), 'v' from generate_series(5, 40000) g",
        "insert into watched_day select 'usr_' || (g / 5), 'ttl_' || (g % 5000 + 1), '2026-01-01', 1 "
        "from generate_series(5, 40000) g",
        "insert into timeline select 'v' || g, 'ttl_1', false, '{1}' from generate_series(1, 5000) g",
        "insert into watched_by_nobody select 'ttl_' || g, '2026-01-01', 1 from generate_series(1, 5000) g",
        "vacuum analyze",
    )
    today = control.clock.now().date()
    keys = (["usr_7"], ["ttl_7"], ["v"])
    expected: list[tuple[str, tuple[Any, ...], str]] = [
        (store.VIEWERS, (["sub_7", "sub_8"],), "principal_sub_key"),
        (store.HOLD, keys, "watched_segments_pkey"),
        (store.PUT_SEGMENTS, (*keys, [b""], [b""]), "watched_segments_pkey"),
        (store.BEGAN, ("sub_7", "ttl_7", control.clock.now()), "principal_sub_key"),
        (store.POSITION, ("usr_7", "ttl_7"), "watching_pkey"),
        (store.UNFINISHED, ("usr_7", 0.95, 24), "watching_seen"),
        (store.DAYS, ("usr_7", today, today), "watched_day_viewer"),
        (store.TITLE_DAYS, ("ttl_7", today, today), "watched_day_title"),
        (store.TIMELINE, ("v7",), "timeline_pkey"),
    ]
    async with control.wiring["pool"].acquire() as connection:
        for sql in fill:
            await connection.execute(sql, timeout=60)
    for sql, values, index in expected:
        used, whole = await plan_of(control, sql, values)
        assert index in used and not whole - {"seller"}, (sql, used, whole)
