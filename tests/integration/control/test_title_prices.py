"""The price on a title's card and its offers through the real app: which of them follows the other, and when."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

from gateway.control.offers.model import Offer
from gateway.control.worker import money
from shared.ids import new_id
from tests.support.control import Control, code_of
from tests.support.market import ask, tell
from tests.support.titles import Desk

DAY = 86400


async def offers_of(seller: Desk, title: str) -> list[tuple[str, int, str]]:
    items = (await seller.ask("GET", f"studio/titles/{title}/offers"))["items"]
    return sorted((item["kind"], item["amount"], item["currency"]) for item in items if item["active"])


async def price_of(seller: Desk, title: str) -> tuple[int, str]:
    answer = await seller.ask("GET", f"titles/{title}")
    return answer["price_minor"], answer["currency"]


async def add(seller: Desk, title: str, kind: str, amount: int = 0, **about: Any) -> dict[str, Any]:
    made = await ask(seller.http, "POST", f"titles/{title}/offers", 201, kind=kind, amount=amount, **about)
    return dict(made)


async def take_back(seller: Desk, title: str, offer: str) -> None:
    await ask(seller.http, "DELETE", f"titles/{title}/offers/{offer}", 204)


async def may_anybody_play(control: Control, title: str) -> bool:
    return bool((await control.browser().post(f"/v1/titles/{title}/play", json={})).status_code == 200)


async def test_price_that_is_sent_as_it_was_makes_no_offer(control: Control, seller: Desk) -> None:
    title = (await seller.published())["id"]
    await add(seller, title, "rent", 299, hours=24)
    for body in ({"name": "Another", "price_minor": 299}, {"price_minor": 299, "currency": "USD"}):
        assert (await seller.ask("PATCH", f"titles/{title}", body=body))["price_minor"] == 299
        assert await offers_of(seller, title) == [("rent", 299, "USD")]
    await add(seller, title, "free")
    await seller.ask("PATCH", f"titles/{title}", body={"name": "A Third", "price_minor": 0})
    assert await offers_of(seller, title) == [("free", 0, "USD"), ("rent", 299, "USD")]


async def test_currency_of_a_title_that_is_not_sold_for_good_sells_it_for_good_to_nobody(
    control: Control, seller: Desk
) -> None:
    title = (await seller.published())["id"]
    offer = await add(seller, title, "view", 99)
    for body in ({"currency": "EUR"}, {"currency": "EUR", "price_minor": 99}):
        answer = await seller.http.patch(f"/v1/titles/{title}", json=body)
        assert code_of(answer) == (422, "offer-priced")
    assert (await offers_of(seller, title), await price_of(seller, title)) == ([("view", 99, "USD")], (99, "USD"))
    await take_back(seller, title, offer["id"])
    answer = await seller.http.patch(f"/v1/titles/{title}", json={"currency": "XAU"})
    assert code_of(answer) == (422, "currency-unknown")
    assert (await seller.ask("PATCH", f"titles/{title}", body={"currency": "EUR"}))["currency"] == "EUR"
    assert await offers_of(seller, title) == []
    await seller.ask("PATCH", f"titles/{title}", body={"price_minor": 500})
    assert await offers_of(seller, title) == [("own", 500, "EUR")]


async def test_currency_of_a_title_goes_to_its_offer_for_good_and_leaves_what_stands_behind_a_free_one(
    control: Control, seller: Desk
) -> None:
    title = (await seller.published(price_minor=500))["id"]
    await seller.ask("PATCH", f"titles/{title}", body={"currency": "EUR"})
    assert (await offers_of(seller, title), await price_of(seller, title)) == ([("own", 500, "EUR")], (500, "EUR"))
    await add(seller, title, "free")
    await seller.ask("PATCH", f"titles/{title}", body={"currency": "USD"})
    assert await offers_of(seller, title) == [("free", 0, "EUR"), ("own", 500, "EUR")]


async def test_price_set_on_a_title_is_the_only_one_it_is_sold_for_good_at(control: Control, seller: Desk) -> None:
    title = (await seller.published(price_minor=500))["id"]
    await add(seller, title, "own", 300)
    await add(seller, title, "own", 200, currency="EUR")
    assert await price_of(seller, title) == (300, "USD")
    await seller.ask("PATCH", f"titles/{title}", body={"price_minor": 800})
    assert await offers_of(seller, title) == [("own", 200, "EUR"), ("own", 800, "USD")]
    answer = (await control.http.get(f"/v1/titles/{title}/offers")).json()
    assert [item["price"]["amount"] for item in answer["items"] if item["price"]["currency"] == "USD"] == [800]
    assert await price_of(seller, title) == (800, "USD")
    await seller.ask("PATCH", f"titles/{title}", body={"currency": "EUR"})
    assert await offers_of(seller, title) == [("own", 800, "EUR")]


async def test_card_follows_the_windows_of_offers_however_many_workers_look(control: Control, seller: Desk) -> None:
    title = (await seller.published())["id"]
    now = control.clock.now()
    ends = {"ends_at": (now + timedelta(days=1)).isoformat()}
    later = {"starts_at": (now + timedelta(days=1)).isoformat(), "ends_at": (now + timedelta(days=3)).isoformat()}
    await add(seller, title, "own", 300, **ends)
    await add(seller, title, "own", 900, **later)
    await add(seller, title, "rent", 100, hours=24, starts_at=(now + timedelta(days=2)).isoformat())
    shown = []
    for _ in range(4):
        await asyncio.gather(*(money.turn_windows(control.wiring) for _ in range(3)))
        shown.append((await control.http.get("/v1/titles")).json()["items"][0]["price_minor"])
        control.clock.advance(DAY)
    assert shown == [300, 900, 100, 100]
    await money.turn_windows(control.wiring)
    assert await control.rows("select 1 from offer where due_at is not null") == []


async def test_card_shows_what_is_to_come_only_while_nothing_else_is_sold(control: Control, seller: Desk) -> None:
    title = (await seller.published())["id"]
    now = control.clock.now()
    await add(seller, title, "own", 100, starts_at=(now + timedelta(days=1)).isoformat())
    assert await price_of(seller, title) == (100, "USD")
    await add(seller, title, "own", 300, ends_at=(now + timedelta(days=2)).isoformat())
    assert await price_of(seller, title) == (300, "USD")


async def test_price_that_is_set_while_a_worker_looks_at_a_window_stays(control: Control, seller: Desk) -> None:
    title = (await seller.published())["id"]
    now = control.clock.now() + timedelta(days=1)
    await add(seller, title, "own", 300, ends_at=now.isoformat())
    await add(seller, title, "own", 900, starts_at=now.isoformat())
    control.clock.advance(DAY)
    async with control.wiring["begin"]() as unit:
        held = await unit.catalogue.by_id(title, lock=True)
        assert held is not None
        looking = asyncio.create_task(money.turn_windows(control.wiring))
        done, _ = await asyncio.wait({looking}, timeout=0.3)
        assert not done
        about: dict[str, Any] = {"kind": "own", "amount": 500, "currency": "USD", "created_at": now}
        await unit.offers.add(Offer(id=new_id("off"), scope=title, seller=held.seller, **about), actor="usr_1")
        await unit.catalogue.update(title, {"price_minor": 500})
    await looking
    assert await price_of(seller, title) == (500, "USD")


async def test_title_that_was_sold_is_not_free_once_its_free_offer_is_taken_back_or_over(
    control: Control, seller: Desk
) -> None:
    ends = (control.clock.now() + timedelta(days=2)).isoformat()
    back, over = [(await seller.published(price_minor=500))["id"] for _ in range(2)]
    for title in back, over:
        own = (await seller.ask("GET", f"studio/titles/{title}/offers"))["items"][0]
        free = await add(seller, title, "free")
        await take_back(seller, title, own["id"])
        assert await may_anybody_play(control, title)
        path = f"titles/{title}/offers/{free['id']}"
        if title == back:
            await take_back(seller, title, free["id"])
        else:
            await ask(seller.http, "PUT", path, version=1, amount=0, currency="USD", ends_at=ends)
        assert await price_of(seller, title) == (500, "USD")
        assert await may_anybody_play(control, title) is (title == over)
    control.clock.advance(2 * DAY)
    assert not await may_anybody_play(control, over)


async def test_title_that_somebody_made_free_or_that_never_had_a_price_stays_free(
    control: Control, seller: Desk
) -> None:
    made_free, never_sold = (await seller.published(price_minor=500))["id"], (await seller.published())["id"]
    await seller.ask("PATCH", f"titles/{made_free}", body={"price_minor": 0})
    weekend: dict[str, Any] = {"ends_at": (control.clock.now() + timedelta(days=2)).isoformat()}
    for title in made_free, never_sold:
        await add(seller, title, "free", **weekend)
    await take_back(seller, never_sold, (await add(seller, never_sold, "free"))["id"])
    control.clock.advance(2 * DAY)
    await money.turn_windows(control.wiring)
    for title in made_free, never_sold:
        assert (await price_of(seller, title), await may_anybody_play(control, title)) == ((0, "USD"), True)


async def test_viewers_are_told_that_a_title_nobody_could_buy_any_more_is_free(control: Control, seller: Desk) -> None:
    title = (await seller.published(price_minor=500))["id"]
    await take_back(seller, title, (await seller.ask("GET", f"studio/titles/{title}/offers"))["items"][0]["id"])
    reasons = []
    for price in (None, 0):
        if price is not None:
            await seller.ask("PATCH", f"titles/{title}", body={"price_minor": price})
        await tell(control)
        reasons.append((await control.http.get(f"/v1/titles/{title}/offers")).json()["reason"])
    assert reasons == ["no-right", "free"]
