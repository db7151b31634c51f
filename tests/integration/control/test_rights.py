"""Rights that were bought: when they begin and end, and what ends with them; viewers whom a seller does not serve."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import httpx2
import jwt
import msgspec
import pytest

from gateway.control.entitlements import actions as entitlements
from gateway.control.entitlements.model import NewRight
from gateway.control.worker import streams
from shared.errors import Conflict, Forbidden, Gone, UsherError
from shared.events import REVOKED, Envelope
from shared.ids import new_id
from tests.support.control import Control, code_of, register
from tests.support.market import ask, sell
from tests.support.titles import Desk, desk

HOUR, DAY = 3600, 86400


class Viewer:
    """Somebody who watches."""

    def __init__(self, control: Control, http: httpx2.AsyncClient, me: dict[str, Any], sub: str) -> None:
        self.control, self.http, self.id, self.sub = control, http, str(me["id"]), sub

    @classmethod
    async def join(cls, control: Control) -> Viewer:
        """Somebody who has just registered."""
        http = control.browser("10.9.0.1")
        me = await register(http, "vera")
        sub = (await control.rows("select sub from principal where id = $1", me["id"]))[0]["sub"]
        return cls(control, http, me, sub)

    async def play(self, title: dict[str, Any]) -> httpx2.Response:
        """Ask for a link."""
        return await self.http.post(f"/v1/titles/{title['id']}/play", json={})

    async def first_media(self, title: dict[str, Any], at: datetime) -> None:
        """An edge tells that it sent the first bytes."""
        event = Envelope(
            new_id("evt"), "playback.first_media", at, "sid", {"sid": "sid", "sub": self.sub, "title": title["id"]}
        )
        wiring = self.control.wiring

        await streams.take_edge("1-1", msgspec.json.encode(event), redis=wiring["events"], begin=wiring["begin"])

    async def rights(self) -> list[dict[str, Any]]:
        """Rows of what this viewer holds."""
        return await self.control.rows("select * from entitlement where principal = $1 order by created_at", self.id)


@pytest.fixture
async def viewer(control: Control) -> Viewer:
    """Somebody logged in."""
    return await Viewer.join(control)


async def pushes(control: Control) -> list[tuple[str, str, str]]:
    rows = await control.rows("select data from outbox where topic = 'push' order by seq")
    return [(row["data"]["kind"], row["data"]["key"], row["data"]["reason"]) for row in rows]


async def take_back(control: Control, source: str, title: dict[str, Any]) -> bool:
    async with control.wiring["begin"]() as unit:
        found = await unit.catalogue.by_id(title["id"])
        assert found is not None
        return await entitlements.take_back(
            source, found, entitlements=unit.entitlements, outbox=unit.outbox, clock=control.clock
        )


async def check_buyer(control: Control, title: dict[str, Any], principal: str) -> None:
    async with control.wiring["begin"]() as unit:
        found, buyer = await unit.catalogue.by_id(title["id"]), await unit.entitlements.principal(principal)
        assert found is not None and buyer is not None
        await entitlements.check_buyer(found, buyer, entitlements=unit.entitlements, now=control.clock.now())


async def test_right_is_given_once_a_source(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    assert (await viewer.play(title)).status_code == 403
    for _ in range(2):
        await sell(control, viewer.id, title["id"], source="pur_1")
    assert (await viewer.play(title)).status_code == 200
    assert len(await viewer.rights()) == len(await control.events("entitlement.granted")) == 1


async def test_rental_runs_from_the_first_play_once_and_for_all(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    control.clock.advance(10 * DAY)
    assert (await viewer.play(title)).status_code == 200
    began = control.clock.now() + timedelta(seconds=20)
    for at in (began, began + timedelta(hours=5), began - timedelta(hours=5)):
        await viewer.first_media(title, at)
    held = (await viewer.rights())[0]
    assert (held["first_play_at"], held["ends_at"]) == (began, began + timedelta(days=1))
    assert [row["data"]["ends_at"] for row in await control.events("entitlement.started")] == [
        (began + timedelta(days=1)).isoformat()
    ]
    control.clock.advance(DAY + 19)
    assert (await viewer.play(title)).status_code == 200
    control.clock.advance(1)
    assert code_of(await viewer.play(title)) == (403, "entitlement-right-ended")


async def test_rental_that_nobody_began_in_thirty_days_is_over(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=72)
    for _ in range(3):
        assert (await viewer.http.get("/v1/me")).status_code == 200
        control.clock.advance(10 * DAY)
    assert code_of(await viewer.play(title)) == (403, "entitlement-right-ended")
    await viewer.first_media(title, control.clock.now())
    assert (await viewer.rights())[0]["first_play_at"] is None


async def test_rental_runs_from_the_link_when_no_edge_tells_of_a_play(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    assert (await viewer.play(title)).status_code == 200
    control.clock.advance(DAY + 299)
    assert (await viewer.play(title)).status_code == 200
    control.clock.advance(1)
    assert code_of(await viewer.play(title)) == (403, "entitlement-right-ended")


@pytest.mark.parametrize("wrong", [-DAY, DAY])
async def test_edge_whose_clock_is_wrong_by_a_day_moves_the_end_by_minutes(
    control: Control, seller: Desk, viewer: Viewer, wrong: int
) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    await viewer.play(title)
    now = control.clock.now()
    await viewer.first_media(title, now + timedelta(seconds=wrong))
    assert abs((await viewer.rights())[0]["ends_at"] - now - timedelta(days=1)) <= timedelta(minutes=15)


async def test_free_time_and_a_right_that_lasts_leave_a_rental_unbegun(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    await sell(control, viewer.id, title["id"])
    await viewer.play(title)
    await viewer.first_media(title, control.clock.now())
    assert [(row["link_at"], row["first_play_at"]) for row in await viewer.rights()] == [(None, None)] * 2


async def test_link_ends_with_the_rental(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    await viewer.play(title)
    await viewer.first_media(title, control.clock.now())
    end = int(control.clock.epoch()) + DAY
    control.clock.advance(DAY - HOUR)
    token = (await viewer.play(title)).json()["url"].split("/t/")[1].split("/")[0]
    assert jwt.decode(token, options={"verify_signature": False})["hmx"] == end


async def test_one_view_is_one_session_however_often_it_is_asked_for(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "view")
    answers = await asyncio.gather(*(viewer.play(title) for _ in range(5)))
    sids = {answer.json()["sid"] for answer in answers}
    assert len(sids) == 1
    await viewer.first_media(title, control.clock.now())
    control.clock.advance(2 * 10 + HOUR - 1)
    assert (await viewer.play(title)).json()["sid"] in sids
    control.clock.advance(1)
    assert code_of(await viewer.play(title)) == (403, "entitlement-right-ended")


async def test_view_whose_session_was_ended_goes_on_in_another(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"], "view")
    first = (await viewer.play(title)).json()["sid"]
    await control.wiring["redis"].hset(REVOKED, f"sid:{first}", "1")
    second = (await viewer.play(title)).json()["sid"]
    assert second != first
    assert (await viewer.play(title)).json()["sid"] == second


async def test_series_right_lets_into_its_episodes_and_begins_with_one(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    series = await seller.title(kind="series", name="Seven Rivers")
    season = await seller.title(kind="season", name="One", parent_id=series["id"])
    about = {"kind": "episode", "parent_id": season["id"], "price_minor": 199}
    one, two = await seller.published(name="Source", **about), await seller.published(name="Mouth", **about)
    await sell(control, viewer.id, series["id"], "rent", hours=36)
    assert (await viewer.play(one)).status_code == 200
    await viewer.first_media(one, control.clock.now())
    control.clock.advance(36 * HOUR - 1)
    assert (await viewer.play(two)).status_code == 200
    control.clock.advance(1)
    assert (await viewer.play(two)).status_code == 403


async def test_refund_ends_what_plays_and_happens_once(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    source = await sell(control, viewer.id, title["id"])
    assert (await viewer.play(title)).status_code == 200
    assert await take_back(control, source, title)
    assert not await take_back(control, source, title)
    assert await pushes(control) == [("sub", viewer.sub, "right-ended")]
    assert code_of(await viewer.play(title)) == (403, "entitlement-no-right")
    await sell(control, viewer.id, title["id"], source=source)
    assert (await viewer.play(title)).status_code == 403, "a source that was taken back gives nothing again"


async def test_refund_ends_nothing_when_another_right_stands(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    source = await sell(control, viewer.id, title["id"])
    await seller.ask("PUT", f"titles/{title['id']}/viewers/vera", 204)
    assert await take_back(control, source, title)
    assert await pushes(control) == [] and (await viewer.play(title)).status_code == 200


async def test_blocked_viewer_watches_and_buys_nothing_of_this_seller(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title, free = await seller.published(price_minor=999), await seller.published(name="Free")
    rival = await desk(control, "rival")
    elsewhere = await rival.published()
    await sell(control, viewer.id, title["id"])
    for _ in range(2):
        await seller.ask("PUT", "sellers/studio/blocked/VERA", 204)
    assert await pushes(control) == [("sub", viewer.sub, "blocked")]
    assert [one["username"] for one in (await seller.ask("GET", "sellers/studio/blocked"))["items"]] == ["vera"]
    for one in (title, free):
        assert code_of(await viewer.play(one)) == (403, "entitlement-blocked")
        with pytest.raises(Forbidden):
            await check_buyer(control, one, viewer.id)
    assert (await viewer.play(elsewhere)).status_code == 200
    await seller.ask("DELETE", "sellers/studio/blocked/vera", 204)
    assert (await viewer.play(title)).status_code == 200
    problem = await seller.ask("PUT", "sellers/studio/blocked/studio", 409)
    assert problem["code"] == "works-here"
    await seller.ask("PUT", "sellers/studio/blocked/nobody", 404)
    assert (await rival.http.put("/v1/sellers/studio/blocked/vera")).status_code == 403
    assert (await viewer.http.get("/v1/sellers/studio/blocked")).status_code == 403


async def test_nobody_buys_what_they_own_what_is_theirs_or_what_is_not_on_sale(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title, draft = await seller.published(price_minor=999), await seller.title(price_minor=999, name="Draft")
    await check_buyer(control, title, viewer.id)
    await sell(control, viewer.id, title["id"], "rent", hours=24)
    await check_buyer(control, title, viewer.id)
    await sell(control, viewer.id, title["id"])
    for one, principal, code in (
        (title, viewer.id, "already-yours"),
        (title, seller.me["id"], "own-title"),
        (draft, viewer.id, "not-for-sale"),
    ):
        with pytest.raises(Conflict) as refused:
            await check_buyer(control, one, principal)
        assert refused.value.code == code
    await control.rows("update title set taken_down_at = now() where id = $1 returning id", title["id"])
    with pytest.raises(Gone):
        await check_buyer(control, title, viewer.id)


async def test_two_purchases_of_the_same_thing_at_once_give_it_once(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title = await seller.published(price_minor=999)
    found = asyncio.Event()

    async def buy(source: str, *, hurry: bool) -> None:
        async with control.wiring["begin"]() as unit:
            shown, buyer = await unit.catalogue.by_id(title["id"]), await unit.entitlements.principal(viewer.id)
            assert shown is not None and buyer is not None
            if hurry:
                await found.wait()
            await entitlements.check_buyer(shown, buyer, entitlements=unit.entitlements, now=control.clock.now())
            if not hurry:
                found.set()
                done, _ = await asyncio.wait({second}, timeout=0.3)
                assert not done, "the second waits for the first"
            right = NewRight(principal=viewer.id, scope=title["id"], source=source, term="own")
            await entitlements.give(right, entitlements=unit.entitlements, outbox=unit.outbox, clock=control.clock)

    second = asyncio.create_task(buy("pur_2", hurry=True))
    await buy("pur_1", hurry=False)
    with pytest.raises(Conflict) as refused:
        await second
    assert refused.value.code == "already-yours"
    assert [row["source"] for row in await viewer.rights()] == ["pur_1"]


async def test_gift_is_for_somebody_else_who_is_there(control: Control, seller: Desk, viewer: Viewer) -> None:
    title = await seller.published(price_minor=999)
    giver = await register(control.browser("10.9.0.3"), "otto")

    async def receiver(name: str, by: str) -> Any:
        async with control.wiring["begin"]() as unit:
            caller = await unit.entitlements.principal(by)
            assert caller is not None
            return await entitlements.receiver(name, by=caller, entitlements=unit.entitlements, people=unit.accounts)

    assert (await receiver("VERA", giver["id"])).id == viewer.id
    for name, by, code in (("nobody", giver["id"], "not-found"), ("vera", viewer.id, "gift-to-oneself")):
        with pytest.raises(UsherError) as refused:
            await receiver(name, by)
        assert refused.value.code == code
    await sell(control, viewer.id, title["id"], given_by=giver["id"])
    assert (await viewer.play(title)).status_code == 200
    assert (await viewer.rights())[0]["given_by"] == giver["id"]


async def test_episode_of_a_retired_offer_stays_with_who_bought_it(
    control: Control, seller: Desk, viewer: Viewer
) -> None:
    title = await seller.published(price_minor=999)
    await sell(control, viewer.id, title["id"])
    offer = (await seller.ask("GET", f"studio/titles/{title['id']}/offers"))["items"][0]
    await ask(seller.http, "DELETE", f"titles/{title['id']}/offers/{offer['id']}", 204)
    assert (await viewer.play(title)).status_code == 200
