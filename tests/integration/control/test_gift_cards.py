"""Gift cards: money of a wallet lies on the ledger's liability account until somebody brings the code, once."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2
import msgspec
import pytest

from gateway.control.idempotency.model import KEPT_S
from gateway.control.ledger import actions as ledger
from gateway.control.worker import process
from tests.support.control import Control, register
from tests.support.market import ask, balance, fund


@pytest.fixture
async def buyer(control: Control) -> tuple[httpx2.AsyncClient, str]:
    """Somebody with 50.00 USD."""
    http = control.browser("10.8.0.1")
    me = await register(http, "vera")
    await fund(control, me["id"], 5000)
    return http, str(me["id"])


async def books(control: Control, *accounts: str) -> list[int]:
    audit = await ledger.audit(begin=control.wiring["begin"])
    assert audit.differences == []
    return [await balance(control, account) for account in accounts]


async def test_card_moves_money_to_the_liability_and_from_there_to_who_brings_it(
    control: Control, buyer: tuple[httpx2.AsyncClient, str]
) -> None:
    http, me = buyer
    other = control.browser("10.8.0.2")
    them = (await register(other, "otto"))["id"]
    card = await ask(http, "POST", "gift-cards", 201, key="k1", amount=2000, currency="USD")
    assert await ask(http, "POST", "gift-cards", 201, key="k1", amount=2000, currency="USD") == card
    assert await books(control, f"wallet:{me}", "giftcards", f"wallet:{them}") == [3000, 2000, 0]
    typed = card["code"].upper().replace("-", " ")
    assert await ask(other, "POST", "gift-cards/redeem", code=typed) == {"amount": 2000, "currency": "USD"}
    assert await books(control, f"wallet:{me}", "giftcards", f"wallet:{them}") == [3000, 0, 2000]
    items = (await http.get("/v1/gift-cards")).json()["items"]
    assert [(one["id"], one["hint"], bool(one["redeemed_at"])) for one in items] == [
        (card["id"], card["code"][-4:], True)
    ]
    for who, told in ((http, ("gift_card", -2000)), (other, ("redeemed", 2000))):
        (shown,) = (await who.get("/v1/payments/history")).json()["items"]
        assert (shown["kind"], shown["amount"], shown["currency"]) == (*told, "USD")
    kept = await control.rows("select * from gift_card")
    kept += await control.rows("select encode(body, 'escape') from idempotency where state = 'done'")
    assert card["code"] not in str(kept) and card["code"].replace("-", "") not in str(kept)
    stamps = await control.rows(
        "select distinct t.kind, p.legal_entity from posting p join txn t on t.id = p.txn "
        "where t.kind like 'giftcard.%'"
    )
    assert sorted((one["kind"], one["legal_entity"]) for one in stamps) == [
        ("giftcard.buy", "usher"), ("giftcard.redeem", "usher"),
    ]  # fmt: skip


async def test_card_is_redeemed_in_the_books_of_the_company_that_sold_it(
    control: Control, buyer: tuple[httpx2.AsyncClient, str]
) -> None:
    http, _ = buyer
    card = await ask(http, "POST", "gift-cards", 201, amount=2000, currency="USD")
    settings = control.wiring["settings"]
    control.wiring["settings"] = msgspec.structs.replace(settings, legal_entity="other")
    await ask(http, "POST", "gift-cards/redeem", code=card["code"])
    stamps = "select distinct p.legal_entity from posting p join txn t on t.id = p.txn where t.kind like 'giftcard.%'"
    assert [row["legal_entity"] for row in await control.rows(stamps)] == ["usher"]


async def test_same_request_long_after_gives_no_second_card(
    control: Control, buyer: tuple[httpx2.AsyncClient, str]
) -> None:
    http, me = buyer
    card = await ask(http, "POST", "gift-cards", 201, key="k1", amount=2000, currency="USD")
    await ask(http, "POST", "gift-cards/redeem", code=card["code"])
    control.clock.advance(KEPT_S + 1)
    await process.sweep(control.wiring)
    again = await ask(http, "POST", "gift-cards", 409, key="k1", amount=2000, currency="USD")
    assert again["code"] == "bought-already"
    assert len(await control.rows("select id from gift_card")) == 1
    assert await books(control, f"wallet:{me}", "giftcards") == [5000, 0]
    assert len((await http.get("/v1/payments/history")).json()["items"]) == 2


async def test_transfer_that_is_sent_again_long_after_is_told_once(
    control: Control, buyer: tuple[httpx2.AsyncClient, str]
) -> None:
    http, me = buyer
    them = (await register(control.browser("10.8.0.2"), "otto"))["id"]
    for _ in range(2):
        await ask(http, "POST", "wallet/transfers", 201, key="k1", to="otto", amount=2000, currency="USD")
        control.clock.advance(KEPT_S + 1)
        await process.sweep(control.wiring)
    assert await books(control, f"wallet:{me}", f"wallet:{them}") == [3000, 2000]
    assert len((await http.get("/v1/payments/history")).json()["items"]) == 1


async def test_card_is_redeemed_once_when_many_bring_it_at_once(
    control: Control, buyer: tuple[httpx2.AsyncClient, str]
) -> None:
    http, me = buyer
    card = await ask(http, "POST", "gift-cards", 201, amount=2000, currency="USD")

    async def bring(number: int) -> int:
        headers = {"Idempotency-Key": f"k{number}"}
        answer = await http.post("/v1/gift-cards/redeem", json={"code": card["code"]}, headers=headers)
        return answer.status_code

    found = await asyncio.gather(*(bring(number) for number in range(12)))
    assert sorted(found) == [200] + [409] * 11
    assert await books(control, f"wallet:{me}", "giftcards") == [5000, 0]


async def test_card_that_nobody_can_pay_is_not_made(control: Control, buyer: tuple[httpx2.AsyncClient, str]) -> None:
    http, me = buyer
    refused = await ask(http, "POST", "gift-cards", 409, amount=5001, currency="USD")
    assert refused["code"] == "insufficient"
    assert await control.rows("select 1 from gift_card") == []
    assert await books(control, f"wallet:{me}", "giftcards") == [5000, 0]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"amount": 0, "currency": "USD"}, 422),
        ({"amount": -2000, "currency": "USD"}, 422),
        ({"amount": 20.5, "currency": "USD"}, 422),
        ({"amount": 99, "currency": "USD"}, 422),
        ({"amount": 100_001, "currency": "USD"}, 422),
        ({"amount": 10**13, "currency": "USD"}, 422),
        ({"amount": 2000, "currency": "usd"}, 422),
        ({"amount": 200, "currency": "XXX"}, 404),
        ({"amount": 200, "currency": "EUR"}, 409),
    ],
    ids=str,
)
async def test_card_of_a_wrong_amount_books_nothing(
    control: Control, buyer: tuple[httpx2.AsyncClient, str], body: dict[str, Any], status: int
) -> None:
    http, me = buyer
    await ask(http, "POST", "gift-cards", status, **body)
    assert await control.rows("select 1 from gift_card") == []
    assert await books(control, f"wallet:{me}", "giftcards") == [5000, 0]


@pytest.mark.parametrize("code", ["aaaa-bbbb-cccc-dddd", "'; drop table gift_card --", "<script>", "\u0000", "ß" * 16])
async def test_wrong_code_brings_nothing(control: Control, buyer: tuple[httpx2.AsyncClient, str], code: str) -> None:
    await ask(buyer[0], "POST", "gift-cards/redeem", 404, code=code)
    await ask(control.browser(), "POST", "gift-cards/redeem", 401, code=code)
