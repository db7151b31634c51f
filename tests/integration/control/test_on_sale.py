"""What is for sale now: titles that can be watched, in series that can be bought, and what is bought of them stays."""

from __future__ import annotations

from typing import Any

import pytest

from shared import jobs as farm
from tests.support.market import sell, tell
from tests.support.shop import Shop, Viewer, ref_of
from tests.support.titles import Desk, ready_of, say

#: Why a series is not sold at this moment.
OFF_SALE = {
    "draft": "update title set state = 'draft' where id = $1",
    "archived": "update title set state = 'archived' where id = $1",
    "taken-down": "update title set taken_down_at = now() where id = $1",
    "not-yet": "update title set window_from = now() + interval '100 years' where id = $1",
    "no-more": "update title set window_until = now() - interval '100 years' where id = $1",
}


@pytest.fixture
async def vera(shop: Shop) -> Viewer:
    """Somebody with 100.00."""
    return await shop.viewer(funds=10_000)


class Series:
    """A series at 29.99 with a season, and an episode that is sold with it only."""

    def __init__(self, seller: Desk, series: str, season: str, episode: dict[str, Any]) -> None:
        self.seller, self.id, self.season, self.episode = seller, series, season, episode
        self.page = f"titles/{episode['id']}"

    @classmethod
    async def make(cls, seller: Desk) -> Series:
        """All of it published."""
        series = (await seller.title(kind="series", name="Seven Rivers", price_minor=2999))["id"]
        season = (await seller.title(kind="season", name="One", parent_id=series))["id"]
        for container in (series, season):
            await seller.ask("POST", f"titles/{container}/publish")
        return cls(seller, series, season, await seller.published(kind="episode", name="Source", parent_id=season))

    async def seen(self, viewer: Viewer) -> list[tuple[str, int]]:
        """What the episode's page offers."""
        items = (await viewer.ask("GET", f"{self.page}/offers"))["items"]
        return [(item["scope"], item["price"]["amount"]) for item in items]


async def buy(viewer: Viewer, scope: str, offer: dict[str, Any], status: int = 201) -> Any:
    """One click, as the price box asks for it."""
    return await viewer.ask("POST", f"titles/{scope}/checkout", status, order_of(offer))


def order_of(offer: dict[str, Any]) -> dict[str, Any]:
    """Buys it as it is."""
    return {"offer": offer["id"], "version": offer["version"]}


async def test_title_plays_and_is_sold_while_it_is_made_and_not_once_that_failed(shop: Shop, vera: Viewer) -> None:
    title, job = await shop.seller.making(price_minor=700, name="Half")
    path = f"titles/{title['id']}"
    await shop.seller.ask("POST", f"{path}/publish")
    (offer,) = (await vera.ask("GET", f"{path}/offers"))["items"]
    otto = await shop.viewer("otto")
    late = await otto.ask("POST", f"{path}/checkout", 201, {**order_of(offer), "pay": "sandbox"})
    assert (await buy(vera, title["id"], offer))["state"] == "paid"
    assert (await vera.send("POST", f"{path}/play", {})).status_code == 200

    await say(shop.control, farm.Failed(job=job.id, chunk="1", code="bad", words="It ends early.", final=True))
    olga = await shop.viewer("olga", funds=700)
    box = await olga.ask("GET", f"{path}/offers")
    assert (box["items"], box["reason"]) == ([], "not-ready")
    refused = await buy(olga, title["id"], offer, 409)
    assert (refused["code"], "cannot be watched" in refused["detail"]) == ("not-for-sale", True)
    assert await shop.amounts(f"wallet:{olga.id}") == [700]
    await shop.hands.pay(ref_of(late), "approve")
    await shop.hear()
    assert (await otto.ask("GET", f"payments/{late['id']}"))["state"] == "refunded"
    assert await shop.rights(otto) == []

    job = await shop.seller.queue(title["id"], sha256="1" * 64)
    await say(shop.control, ready_of(job.id))
    assert (await buy(olga, title["id"], offer))["state"] == "paid"
    await shop.audit()


async def test_series_is_sold_from_its_own_page_and_from_those_of_its_episodes(shop: Shop, vera: Viewer) -> None:
    series = await Series.make(shop.seller)
    (item,) = (await vera.ask("GET", f"titles/{series.id}/offers"))["items"]
    assert await series.seen(vera) == [(series.id, 2999)]
    await buy(vera, series.id, item)
    assert (await vera.send("POST", f"{series.page}/play", {})).status_code == 200


@pytest.mark.parametrize("why", OFF_SALE)
async def test_episode_does_not_offer_a_series_that_is_not_for_sale(shop: Shop, vera: Viewer, why: str) -> None:
    series = await Series.make(shop.seller)
    (item,) = (await vera.ask("GET", f"titles/{series.id}/offers"))["items"]
    alone = await shop.owner.ask("POST", f"{series.page}/offers", 201, {"kind": "rent", "hours": 24, "amount": 300})
    await shop.control.rows(OFF_SALE[why] + " returning id", series.id)
    await tell(shop.control)
    assert await series.seen(vera) == [(series.episode["id"], 300)]
    assert (await vera.send("POST", f"titles/{series.id}/checkout", order_of(item))).status_code in (404, 409, 410)
    await buy(vera, series.episode["id"], alone)


async def test_episode_of_a_series_that_costs_something_is_not_told_to_be_free(shop: Shop, vera: Viewer) -> None:
    series = await Series.make(shop.seller)
    paths = (series.page, f"titles/{series.season}")
    assert [(await vera.ask("GET", path))["is_free"] for path in paths] == [False, False]
    cards = {card["name"]: card["is_free"] for card in (await vera.ask("GET", "titles"))["items"]}
    assert cards == {"Seven Rivers": False, "Source": False, "The Long Way": False}
    shown = (await vera.http.get(series.episode["watch_url"])).text
    assert "In its series" in shown and ">Free<" not in shown
    await shop.owner.ask("POST", f"{series.page}/offers", 201, {"kind": "free"})
    assert [(await vera.ask("GET", path))["is_free"] for path in paths] == [True, False]
    assert ">Free<" in (await vera.http.get(series.episode["watch_url"])).text
    await tell(shop.control)
    assert (await vera.send("POST", f"{series.page}/play", {})).status_code == 200
    loose = await shop.seller.published(name="Loose")
    assert loose["is_free"] and loose["price_minor"] == 0


async def test_episode_that_was_bought_with_its_series_stays_in_it(shop: Shop, vera: Viewer) -> None:
    series, other = await Series.make(shop.seller), await Series.make(shop.seller)
    draft = await shop.seller.title(kind="episode", parent_id=series.season)
    away = {"parent_id": other.season}
    await shop.owner.ask("PATCH", f"titles/{other.season}", body={"parent_id": series.id})
    await shop.owner.ask("PATCH", f"titles/{other.season}", body={"parent_id": other.id})
    bought = await sell(shop.control, vera.id, series.id)
    for path in (series.page, f"titles/{series.season}"):
        to = {"parent_id": other.id} if path != series.page else away
        refused = await shop.owner.ask("PATCH", path, 409, to)
        assert (refused["code"], "stays" in refused["detail"]) == ("sold-with-its-series", True)
    unshown = await shop.seller.title(kind="season", name="Two", parent_id=series.id)
    await shop.owner.ask("PATCH", f"titles/{unshown['id']}", 409, {"parent_id": other.id})
    assert (await vera.send("POST", f"{series.page}/play", {})).status_code == 200
    # What nobody could watch yet, and what stays in the series, may move.
    await shop.owner.ask("PATCH", f"titles/{draft['id']}", 200, away)
    await shop.owner.ask("PATCH", series.page, 200, {"parent_id": series.id})
    await shop.owner.ask("PATCH", series.page, 200, {"parent_id": series.id, "name": "Spring"})
    await shop.control.rows("update entitlement set revoked_at = now() where source = $1 returning id", bought)
    await shop.owner.ask("PATCH", series.page, 200, away)


async def test_rent_is_sold_once_though_it_was_free_meanwhile(shop: Shop, vera: Viewer) -> None:
    rent = await shop.offers(kind="rent", hours=24, amount=200)
    await buy(vera, shop.title, rent)
    await shop.offers(kind="free", ends_at="2126-01-01T00:00:00Z")
    await tell(shop.control)
    assert (await vera.ask("GET", f"titles/{shop.title}/offers"))["reason"] == "free"
    assert (await buy(vera, shop.title, rent, 409))["code"] == "bought-already"
    assert await shop.rights(vera) == ["rent"]


async def test_who_has_one_view_may_rent_and_who_rents_no_view(shop: Shop, vera: Viewer) -> None:
    view, rent = await shop.offers(kind="view", amount=100), await shop.offers(kind="rent", hours=24, amount=200)
    await buy(vera, shop.title, view)
    assert (await buy(vera, shop.title, view, 409))["code"] == "bought-already"
    await buy(vera, shop.title, rent)
    for offer in (view, rent):
        assert (await buy(vera, shop.title, offer, 409))["code"] == "bought-already"
    assert await shop.rights(vera) == ["rent", "view"]
    await shop.audit()
