"""What an admin ends, and that links are minted wholly before a revocation or wholly after it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import pytest
from redis.asyncio import Redis

from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import TakedownOrder
from gateway.control.entitlements import actions as entitlements
from gateway.control.screenings import actions as screenings
from gateway.control.wiring import Unit
from gateway.control.worker import relay
from shared.events import EDGE_PUSH, REVOKED, Push
from shared.seats import live
from tests.integration.control.test_screenings import claims_in, play
from tests.integration.control.test_sessions import sit
from tests.support.control import Control, code_of, make_admin, register
from tests.support.titles import Desk
from tests.support.worker import until, working


@pytest.fixture
async def admin(control: Control) -> httpx2.AsyncClient:
    """An admin's browser."""
    http = control.browser("10.5.0.1")
    await make_admin(control, (await register(http, "ada"))["id"])
    return http


async def revoke(http: httpx2.AsyncClient, kind: str, id: str, status: int = 201, **more: Any) -> dict[str, Any]:
    answer = await http.post("/v1/revocations", json={"kind": kind, "id": id, **more})
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def floor(control: Control, kind: str, key: str) -> int:
    rows = await control.rows("select iat from revocation where kind = $1 and key = $2", kind, key)
    return int(rows[0]["iat"]) if rows else -1


async def test_admin_ends_a_session_and_its_seat_is_free(
    control: Control, seller: Desk, admin: httpx2.AsyncClient
) -> None:
    title = await seller.published()
    sid, sub = await sit(control, control.browser(), title["id"])
    told = await revoke(admin, "session", sid, reason="a complaint")
    assert (told["kind"], told["id"], told["reason"]) == ("session", sid, "a complaint")
    assert await live(control.wiring["redis"], sub) == []
    audit = await control.rows("select action, object, after from audit where action = 'playback:revoke'")
    assert audit == [
        {"action": "playback:revoke", "object": sid, "after": {"kind": "session", "reason": "a complaint"}}
    ]
    assert (await control.events("admin.action"))[-1]["subject"] == sid
    assert await control.events("playback.ended")


@pytest.mark.parametrize("by", ["name", "id"])
async def test_admin_ends_all_links_of_a_viewer_and_new_ones_play(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, by: str
) -> None:
    title, viewer = await seller.published(), control.browser()
    me = await register(viewer, "Vera")
    before = await claims_in(control, str((await play(viewer, title["id"]))["url"]))
    told = await revoke(admin, "viewer", me["id"] if by == "id" else "vera")
    assert told["id"] == me["id"]
    ended = await floor(control, "sub", before.sub)
    after = await claims_in(control, str((await play(viewer, title["id"]))["url"]))
    assert before.iat <= ended < after.iat


async def test_admin_ends_all_links_to_a_title_and_new_ones_play(
    control: Control, seller: Desk, admin: httpx2.AsyncClient
) -> None:
    title, viewer = await seller.published(), control.browser()
    before = await claims_in(control, str((await play(viewer, title["id"]))["url"]))
    for _ in range(3):
        assert (await revoke(admin, "title", title["short_id"]))["id"] == title["id"]
        ended = await floor(control, "title", title["id"])
        after = await claims_in(control, str((await play(viewer, title["id"]))["url"]))
        assert before.iat <= ended < after.iat
        before = after


async def test_revoking_is_for_those_who_may(control: Control, seller: Desk, admin: httpx2.AsyncClient) -> None:
    title = await seller.published()
    sid, _ = await sit(control, control.browser(), title["id"])
    moderator = control.browser("10.5.0.2")
    await make_admin(control, (await register(moderator, "moe"))["id"], "moderator")
    await revoke(moderator, "session", sid)
    order = {"kind": "session", "id": sid}
    assert code_of(await seller.http.post("/v1/revocations", json=order)) == (403, "forbidden")
    assert code_of(await control.browser("10.5.0.3").post("/v1/revocations", json=order)) == (401, "unauthenticated")
    for kind in ("session", "viewer", "title"):
        await revoke(admin, kind, "nothing", 404)
    await revoke(admin, "everything", "x", 422)


async def test_revocations_reach_the_edges_and_come_back_when_redis_lost_them(
    control: Control, seller: Desk, admin: httpx2.AsyncClient, redis: Redis
) -> None:
    title, viewer = await seller.published(), control.browser()
    sid, sub = await sit(control, viewer, title["id"])
    channel = redis.pubsub()
    await channel.subscribe(EDGE_PUSH)
    heard: set[tuple[str, str]] = set()

    async def all_heard() -> bool:
        while message := await channel.get_message(ignore_subscribe_messages=True, timeout=0.05):
            push = msgspec.json.decode(message["data"], type=Push)
            heard.add((push.kind, push.key))
        return heard >= {("title", title["id"]), ("sid", sid), ("sub", sub)}

    async def all_kept() -> bool:
        kept = await redis.hgetall(REVOKED)
        return {f"title:{title['id']}".encode(), f"sid:{sid}".encode(), f"sub:{sub}".encode()} <= kept.keys()

    principal = (await control.rows("select id from principal where sub = $1", sub))[0]["id"]
    async with working(control):
        for kind, id in (("title", title["id"]), ("session", sid), ("viewer", principal)):
            await revoke(admin, kind, id)
        await until(all_heard)
        await until(all_kept)
        await until(lambda: redis.exists(relay.KEPT))
        # Rows that left may be swept by then: what holds is kept apart from what was sent.
        await control.rows("delete from outbox")
        await redis.flushall()
        await until(all_kept)
    await channel.aclose()


async def test_sweep_keeps_a_revocation_for_as_long_as_a_link_may_live(control: Control) -> None:
    async with control.wiring["begin"]() as unit:
        await unit.outbox.push(Push("sub", "old", 1))
        await unit.outbox.push(Push("sub", "new", 1))
    await control.rows("update revocation set at = now() - interval '13 hours' where key = 'old'")
    async with control.wiring["begin"]() as unit:
        await unit.outbox.sweep(revocations_s=2 * control.settings.play_hard_end_s)
    assert await control.rows("select key from revocation") == [{"key": "new"}]


@asynccontextmanager
async def in_the_middle(control: Control) -> AsyncIterator[Unit]:
    """A transaction that stands still while others go on."""
    async with control.wiring["begin"]() as unit:
        yield unit


async def right_of_vera(control: Control, seller: Desk) -> tuple[httpx2.AsyncClient, str, str]:
    """Vera's browser, her only right's title, her pseudonym."""
    title, viewer = await seller.published(price_minor=100), control.browser()
    me = await register(viewer, "vera")
    await seller.ask("PUT", f"titles/{title['id']}/viewers/vera", 204)
    sub = (await control.rows("select sub from principal where id = $1", me["id"]))[0]["sub"]
    return viewer, title["id"], sub


async def test_link_asked_for_while_the_right_is_taken_waits_and_is_refused(control: Control, seller: Desk) -> None:
    viewer, title, _ = await right_of_vera(control, seller)
    principal = await _principal(control, seller)
    async with in_the_middle(control) as unit:
        await entitlements.revoke(title, "vera", by=principal, unit=unit, clock=control.clock)
        asked = asyncio.create_task(viewer.post(f"/v1/titles/{title}/play", json={}))
        done, _ = await asyncio.wait({asked}, timeout=0.5)
        assert not done, "it was answered by what is no longer true"
    assert code_of(await asked) == (403, "entitlement-no-right")


async def test_link_asked_for_while_the_title_is_taken_down_waits_and_is_refused(
    control: Control, seller: Desk, admin: httpx2.AsyncClient
) -> None:
    title, viewer = await seller.published(), control.browser()
    by = await control.wiring["finder"].find(admin.cookies["usher_session"])
    assert by is not None
    async with in_the_middle(control) as unit:
        await catalogue.take_down(
            title["id"],
            TakedownOrder(reason="a claim", notice="Gone."),
            by=by,
            place="",
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=control.clock,
        )
        asked = asyncio.create_task(viewer.post(f"/v1/titles/{title['id']}/play", json={}))
        done, _ = await asyncio.wait({asked}, timeout=0.5)
        assert not done, "it was answered by what is no longer true"
    assert code_of(await asked) == (410, "taken-down")


async def test_link_minted_while_the_right_is_about_to_go_is_ended_with_it(
    control: Control, seller: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, title, sub = await right_of_vera(control, seller)
    looked, go = asyncio.Event(), asyncio.Event()
    begin = screenings.begin

    async def slow(*args: Any, **ports: Any) -> Any:
        looked.set()
        await go.wait()
        return await begin(*args, **ports)

    monkeypatch.setattr(screenings, "begin", slow)
    asked = asyncio.create_task(viewer.post(f"/v1/titles/{title}/play", json={}))
    await looked.wait()
    taken = asyncio.create_task(seller.ask("DELETE", f"titles/{title}/viewers/vera", 204))
    done, _ = await asyncio.wait({taken}, timeout=0.5)
    assert not done
    go.set()
    answer, _ = await asked, await taken
    claims = await claims_in(control, answer.json()["url"])
    assert claims.iat <= await floor(control, "sub", sub)


async def test_right_given_back_in_the_same_second_is_worth_something(control: Control, seller: Desk) -> None:
    viewer, title, sub = await right_of_vera(control, seller)
    path = f"titles/{title}/viewers/vera"
    last = -1
    for _ in range(3):
        claims = await claims_in(control, str((await play(viewer, title))["url"]))
        assert claims.iat > last, "a link that is refused from the start"
        await seller.ask("DELETE", path, 204)
        last = await floor(control, "sub", sub)
        assert claims.iat <= last, "a link that outlives its right"
        await seller.ask("PUT", path, 204)


async def _principal(control: Control, seller: Desk) -> Any:
    signed = seller.http.cookies["usher_session"]
    found = await control.wiring["finder"].find(signed)
    assert found is not None
    return found
