"""Wallets: transfers, history, live balances, and what is owed on them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.control import live
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import code_of
from tests.support.ledger import movement
from tests.support.patience import WITHIN_S
from tests.support.served import served
from tests.support.shop import Shop, Viewer, open_shop

DAY_S = 86400


async def test_transfer_moves_money_and_both_see_it(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=1000), await shop.viewer("otto")
    sent = await vera.ask("POST", "wallet/transfers", 201, {"to": "Otto", "amount": 300, "currency": "USD"})
    assert sent["amount"] == 300
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}") == [700, 300]
    mine, other = [(await one.ask("GET", "payments/history"))["items"][0] for one in (vera, otto)]
    assert (mine["kind"], mine["amount"], mine["other"]) == ("sent", -300, "otto")
    assert (other["kind"], other["amount"], other["other"]) == ("received", 300, "vera")
    await shop.audit()


WRONG: list[tuple[dict[str, Any], int, str]] = [
    ({"amount": 99}, 422, "transfer-too-small"),
    ({"amount": 0}, 422, "invalid"),
    ({"amount": -100}, 422, "invalid"),
    ({"amount": 100.5}, 422, "invalid"),
    ({"amount": 10**20}, 422, "invalid"),
    ({"amount": 99, "currency": "JPY"}, 409, "insufficient"),
    ({"currency": "EUR"}, 409, "insufficient"),
    ({"currency": "XYZ"}, 404, "not-found"),
    ({"amount": 1001}, 409, "insufficient"),
    ({"to": "vera"}, 409, "transfer-to-oneself"),
    ({"to": "nobody"}, 404, "not-found"),
    ({"to": "'; drop table payment; --"}, 404, "not-found"),
]


async def test_transfer_that_is_wrong_moves_nothing(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=1000), await shop.viewer("otto")
    for about, status, code in WRONG:
        body = {"to": "otto", "amount": 100, "currency": "USD", **about}
        assert code_of(await vera.send("POST", "wallet/transfers", body)) == (status, code), about
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}") == [1000, 0]


async def test_transfers_at_once_never_overdraw_and_those_with_one_key_are_one(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=1000), await shop.viewer("otto")
    body = {"to": "otto", "amount": 300, "currency": "USD"}
    answers = await asyncio.gather(*(vera.send("POST", "wallet/transfers", body) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 17
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}") == [100, 900]
    back = {"to": "vera", "amount": 300, "currency": "USD"}
    answers = await asyncio.gather(*(otto.send("POST", "wallet/transfers", back, key="once") for _ in range(20)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}") == [400, 600]
    await shop.audit()


async def test_transfers_against_each_other_all_come_through(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=5000), await shop.viewer("otto", funds=5000)
    orders = [(vera, "otto"), (otto, "vera")] * 15
    answers = await asyncio.gather(
        *(one.send("POST", "wallet/transfers", {"to": to, "amount": 100, "currency": "USD"}) for one, to in orders)
    )
    assert {answer.status_code for answer in answers} == {201}
    assert await shop.amounts(f"wallet:{vera.id}", f"wallet:{otto.id}") == [5000, 5000]


async def test_history_is_read_page_by_page_and_is_ones_own(shop: Shop) -> None:
    vera, otto = await shop.viewer(funds=5000), await shop.viewer("otto")
    for amount in range(100, 107):
        await vera.ask("POST", "wallet/transfers", 201, {"to": "otto", "amount": amount, "currency": "USD"})
    await shop.bought(vera)
    amounts, cursor = [], ""
    while cursor is not None:
        page = await vera.ask("GET", f"payments/history?limit=3&cursor={cursor}")
        assert 0 < len(page["items"]) <= 3
        amounts += [item["amount"] for item in page["items"]]
        cursor = page["next"]
    assert amounts == [-500, *(-amount for amount in reversed(range(100, 107)))]
    first = (await vera.ask("GET", "payments/history?limit=1"))["items"][0]
    assert (first["kind"], first["title"], first["title_name"]) == ("purchase", shop.title, "The Long Way")
    assert (first["term"], first["hours"], first["seller"]) == ("own", None, shop.seller.seller["name"])
    assert {item["kind"] for item in (await otto.ask("GET", "payments/history"))["items"]} == {"received"}
    for wrong in ("limit=0", "limit=101", "cursor=x", "cursor=AAAAAAAAAAAAAAAA", "cursor=%00"):
        await vera.ask("GET", f"payments/history?{wrong}", 422)


async def test_amounts_are_told_in_the_currency_one_reads_and_booked_in_their_own(shop: Shop) -> None:
    vera = await shop.viewer(funds=500)
    assert (await vera.ask("GET", "wallet"))["pockets"][0]["shown"] is None
    assert await vera.ask("PUT", "wallet/display", body={"currency": "IDR"}) == {
        "currency": "IDR", "rates_of": "2026-11-01",
    }  # fmt: skip
    pocket = (await vera.ask("GET", "wallet"))["pockets"][0]
    assert pocket["shown"] == {"amount": 8_500_000, "currency": "IDR", "rates_of": "2026-11-01"}
    await shop.bought(vera)
    assert {row["asset"] for row in await shop.control.rows("select distinct asset from posting")} == {"USD"}
    assert code_of(await vera.send("PUT", "wallet/display", {"currency": "BONUS"})) == (422, "currency-unknown")
    assert (await vera.ask("PUT", "wallet/display", body={"currency": None}))["currency"] == "USD"


@contextlib.asynccontextmanager
async def stream(viewer: Viewer, path: str) -> AsyncIterator[AsyncIterator[Any]]:
    """The events of a stream, as they come over a connection."""
    http = httpx2.AsyncClient(base_url=viewer.http.base_url, cookies=viewer.http.cookies, timeout=None, trust_env=False)
    async with asyncio.timeout(WITHIN_S), http, http.stream("GET", f"/v1/{path}") as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        yield (msgspec.json.decode(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: "))


async def test_balances_move_on_streams_and_a_stream_of_others_is_refused(
    settings: ControlSettings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_S", 0.01)
    async with served(settings, clock) as control:
        shop = await open_shop(control)
        vera, otto = await shop.viewer(funds=700), await shop.viewer("otto", funds=500)
        earnings = f"sellers/{shop.seller.seller['handle']}/earnings"
        async with stream(shop.owner, f"{earnings}/events") as earned, stream(vera, "wallet/events") as spent:
            assert (await anext(earned))["items"] == []
            assert (await anext(spent))["pockets"][0]["free"] == 700
            await shop.bought(vera)
            assert (await anext(earned))["items"][0]["pending"] == 450
            assert (await anext(spent))["pockets"][0]["free"] == 200
        await otto.ask("GET", f"{earnings}/events", 403)
        await otto.ask("GET", earnings, 403)


async def test_refund_onto_a_wallet_pays_what_its_owner_owes_first_and_the_wallet_says_what_that_is(
    shop: Shop,
) -> None:
    vera, admin = await shop.viewer(funds=500), await shop.viewer("ada", role="admin")
    bought = await shop.bought(vera)
    legs: dict[str, Any] = {f"receivable__{vera.id}": -300, "cash__bank": 300}
    await shop.books.post(movement("owes", **legs))
    pocket = {"currency": "USD", "balance": 0, "free": 0, "owed": 300, "shown": None}
    assert (await vera.ask("GET", "wallet"))["pockets"] == [pocket]
    for amount, owed, free in ((100, 200, 0), (250, 0, 50), (150, 0, 200)):
        await admin.ask("POST", f"payments/{bought['id']}/refunds", 201, {"reason": "asked for", "amount": amount})
        found = (await vera.ask("GET", "wallet"))["pockets"][0]
        assert (found["owed"], found["balance"], found["free"]) == (owed, free, free)
    assert await shop.rights(vera) == []
    await shop.audit()
