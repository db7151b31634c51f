"""Earnings on their way out: withdrawals by the terms of their rail, decided, paid, and what comes back."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Movement
from gateway.control.wallet.withdrawals import OWED
from tests.support.control import code_of
from tests.support.ledger import Books, movement
from tests.support.patience import until
from tests.support.postgres import WAITING
from tests.support.shop import Shop, Viewer

DAY_S = 86400


@pytest.fixture
async def admin(shop: Shop) -> Viewer:
    """Somebody who decides on withdrawals."""
    return await shop.viewer("ada", role="admin")


class Till:
    """A seller with 200.00 available."""

    def __init__(self, shop: Shop) -> None:
        self.shop, self.id, self.handle = shop, shop.seller.seller["id"], shop.seller.seller["handle"]

    async def withdraw(self, amount: int, *, key: str | None = None, **about: Any) -> Any:
        body = {"amount": amount, "currency": "USD", **about}
        return await self.shop.owner.send("POST", f"sellers/{self.handle}/withdrawals", body, key=key)

    async def amounts(self) -> list[int]:
        """Available, on its way, owed, what left by the bank."""
        codes = (f"earnings:{self.id}", f"payout_in_transit:{self.id}", f"receivable:{self.id}")
        return await self.shop.amounts(*codes, "cash:bank")


@pytest.fixture
async def till(shop: Shop) -> Till:
    """Money a seller earned."""
    made = Till(shop)
    books: Books = shop.books
    await books.fund(20_000, f"earnings__{made.id}", asset="USD")
    return made


async def test_withdrawal_is_asked_for_approved_and_paid_when_due(till: Till, admin: Viewer) -> None:
    made = (await till.withdraw(5000)).json()
    assert (made["state"], await till.amounts()) == ("requested", [15_000, 5000, 0, -20_000])
    path = f"withdrawals/{made['id']}"
    waiting = await admin.ask("GET", "withdrawals")
    assert ([one["id"] for one in waiting["items"]], waiting["handles"]) == ([made["id"]], {till.id: till.handle})
    assert code_of(await admin.send("POST", f"{path}/complete", {"rail_ref": "T1"})) == (409, "withdrawal-requested")
    assert (await admin.ask("POST", f"{path}/approve"))["state"] == "approved"
    assert code_of(await admin.send("POST", f"{path}/complete", {"rail_ref": "T1"})) == (409, "withdrawal-not-due")
    till.shop.control.clock.advance(3 * DAY_S)
    paid = await admin.ask("POST", f"{path}/complete", body={"rail_ref": "T1"})
    assert (paid["state"], paid["rail_ref"], await till.amounts()) == ("paid", "T1", [15_000, 0, 0, -15_000])
    assert code_of(await admin.send("POST", f"{path}/reject", {"reason": "late"})) == (409, "withdrawal-paid")
    mine = (await till.shop.owner.ask("GET", f"sellers/{till.handle}/withdrawals"))["items"]
    assert [one["state"] for one in mine] == ["paid"]
    assert (await admin.ask("GET", "withdrawals"))["items"] == []
    await till.shop.audit()


async def test_withdrawal_that_is_rejected_returns_after_what_is_owed_by_then(till: Till, admin: Viewer) -> None:
    made = (await till.withdraw(20_000)).json()
    await owes(till)
    path = f"withdrawals/{made['id']}/reject"
    rejected = await admin.ask("POST", path, body={"reason": "unknown account"})
    assert (rejected["state"], rejected["reason"]) == ("rejected", "unknown account")
    assert (await till.amounts())[:3] == [19_300, 0, 0]
    assert code_of(await admin.send("POST", path, {"reason": "again"})) == (409, "withdrawal-rejected")
    await till.shop.audit()


def debt(till: Till, amount: int = 700) -> Movement:
    """By which the seller owes something."""
    legs: dict[str, Any] = {f"receivable__{till.id}": -amount, "cash__bank": amount}
    return movement("owes", **legs)


async def owes(till: Till, amount: int = 700) -> None:
    """They do from now on."""
    await till.shop.books.post(debt(till, amount))


async def test_withdrawal_whose_seller_owes_goes_back_instead_of_being_approved_and_who_decides_sees_it(
    till: Till, admin: Viewer
) -> None:
    made, rest = [(await till.withdraw(amount)).json() for amount in (14_000, 6000)]
    assert (await admin.ask("GET", "withdrawals"))["owing"] == {}
    await owes(till)
    assert (await admin.ask("GET", "withdrawals"))["owing"] == {made["id"]: 700, rest["id"]: 700}
    path = f"withdrawals/{made['id']}/approve"
    back = await admin.ask("POST", path)
    assert (back["state"], back["reason"], await till.amounts()) == ("rejected", OWED, [13_300, 6000, 0, -19_300])
    assert code_of(await admin.send("POST", path)) == (409, "withdrawal-rejected")
    mine = (await till.shop.owner.ask("GET", f"sellers/{till.handle}/withdrawals"))["items"]
    assert {(one["id"], one["state"], one["reason"]) for one in mine} == {
        (made["id"], "rejected", OWED), (rest["id"], "requested", ""),
    }  # fmt: skip
    # What was owed is paid, so the other one goes out.
    assert (await admin.ask("GET", "withdrawals"))["owing"] == {}
    assert (await admin.ask("POST", f"withdrawals/{rest['id']}/approve"))["state"] == "approved"
    told = await till.shop.control.events("payout.changed")
    assert [(row["data"]["state"], row["data"]["withdrawal"]) for row in told][2:] == [
        ("rejected", made["id"]), ("approved", rest["id"]),
    ]  # fmt: skip
    await till.shop.audit()


async def test_what_was_paid_by_hand_and_came_back_is_available_again_after_what_is_owed(
    till: Till, admin: Viewer
) -> None:
    made = (await till.withdraw(5000)).json()
    path = f"withdrawals/{made['id']}"
    await admin.ask("POST", f"{path}/approve")
    till.shop.control.clock.advance(3 * DAY_S)
    await admin.ask("POST", f"{path}/complete", body={"rail_ref": "T1"})
    await owes(till)
    assert await till.amounts() == [15_000, 0, -700, -14_300]
    came_back = {"reason": "no such account", "came_back": True}
    back = await admin.ask("POST", f"{path}/reject", body=came_back)
    assert (back["state"], back["reason"], back["rail_ref"]) == ("returned", "no such account", "T1")
    assert await till.amounts() == [19_300, 0, 0, -19_300]
    assert code_of(await admin.send("POST", f"{path}/reject", came_back)) == (409, "withdrawal-returned")
    rows = await till.shop.control.rows(
        "select t.kind, t.reverses = paid.id as of_payout from txn t join txn paid on paid.key = $1"
        " where t.key in ($2, $3) order by t.id",
        f"{made['id']}:payout", f"{made['id']}:payout-returned", f"{made['id']}:withdrawal-returned",
    )  # fmt: skip
    assert [(row["kind"], row["of_payout"]) for row in rows] == [
        ("payout-returned", True), ("withdrawal-returned", None),
    ]  # fmt: skip
    told = await till.shop.control.events("payout.changed")
    assert [row["data"]["state"] for row in told] == ["requested", "approved", "paid", "returned"]
    decided = "select after ->> 'state' as state from audit where action = 'payout:decide' order by seq"
    assert [row["state"] for row in await till.shop.control.rows(decided)] == ["approved", "paid", "returned"]
    await till.shop.audit()


async def test_withdrawal_that_is_rejected_pays_the_debt_that_grows_meanwhile(till: Till, admin: Viewer) -> None:
    made = (await till.withdraw(20_000)).json()
    begin, control = till.shop.control.wiring["begin"], till.shop.control
    async with begin() as unit:
        # As a refund does: it holds what the seller has, and finds that it is not there any more.
        await unit.purchases.funds([f"earnings:{till.id}", f"receivable:{till.id}"], "USD")
        path = f"withdrawals/{made['id']}/reject"
        rejecting = asyncio.create_task(admin.send("POST", path, {"reason": "no such account"}))

        async def waits() -> bool:
            return bool(await control.rows(WAITING))

        await until(waits, within_s=60, what="the rejection waiting for the refund")
        await ledger.post(debt(till), ledger=unit.ledger)
    assert (await rejecting).json()["state"] == "rejected"
    assert (await till.amounts())[:3] == [19_300, 0, 0]
    await till.shop.audit()


async def test_terms_of_a_rail_say_minimum_days_and_up_to_where_nobody_is_asked(till: Till, admin: Viewer) -> None:
    assert code_of(await till.withdraw(4999)) == (422, "withdrawal-too-small")
    assert code_of(await till.withdraw(5000, rail="paypal")) == (422, "rail-unknown")
    told = f"sellers/{till.handle}/payout-terms"
    bank = {"rail": "bank", "currency": "USD", "minimum": 5000, "hold_days": 3, "auto_up_to": 0}
    assert (await till.shop.owner.ask("GET", told))["items"] == [bank]
    terms = {"rail": "paypal", "currency": "USD", "minimum": 1000, "hold_days": 0, "auto_up_to": 2000}
    assert await admin.ask("PUT", "policies", body=terms) == terms
    assert (await admin.ask("GET", "policies"))["items"] == [terms]
    assert (await till.shop.owner.ask("GET", told))["items"] == [terms, bank]
    assert (await till.withdraw(2000, rail="paypal")).json()["state"] == "approved"
    assert (await till.withdraw(2001, rail="paypal")).json()["state"] == "requested"
    assert code_of(await till.withdraw(999, rail="paypal")) == (422, "withdrawal-too-small")
    assert code_of(await admin.send("PUT", "policies", {**terms, "currency": "XXX"})) == (422, "currency-unknown")
    for path, method, body in (("policies", "GET", None), ("policies", "PUT", terms), ("withdrawals", "GET", None)):
        await till.shop.owner.ask(method, path, 403, body)


async def test_small_withdrawals_of_a_day_pass_the_ceiling_no_more_than_a_large_one(till: Till, admin: Viewer) -> None:
    terms = {"rail": "bank", "currency": "USD", "minimum": 1, "hold_days": 0, "auto_up_to": 1000}
    await admin.ask("PUT", "policies", body=terms)
    await admin.ask("PUT", "policies", body={**terms, "rail": "paypal"})

    async def states(*amounts: int, **about: Any) -> list[str]:
        return [(await till.withdraw(amount, **about)).json()["state"] for amount in amounts]

    assert await states(400, 400, 400, 200, 100) == ["approved", "approved", "requested", "approved", "requested"]
    assert await states(1000, rail="paypal") == ["approved"]
    till.shop.control.clock.advance(DAY_S - 1)
    assert await states(100) == ["requested"]
    mine = (await till.shop.owner.ask("GET", f"sellers/{till.handle}/withdrawals"))["items"]
    back = next(one["id"] for one in mine if (one["state"], one["amount"]) == ("approved", 400))
    await admin.ask("POST", f"withdrawals/{back}/reject", body={"reason": "no such account"})
    assert await states(401, 400, 1) == ["requested", "approved", "requested"]  # what came back does not count
    till.shop.control.clock.advance(DAY_S)
    assert await states(1000, 100) == ["approved", "requested"]


async def test_of_withdrawals_at_once_no_more_than_the_ceiling_is_approved(till: Till, admin: Viewer) -> None:
    terms = {"rail": "bank", "currency": "USD", "minimum": 100, "hold_days": 0, "auto_up_to": 1000}
    await admin.ask("PUT", "policies", body=terms)
    answers = await asyncio.gather(*(till.withdraw(400) for _ in range(8)))
    assert sorted(answer.json()["state"] for answer in answers) == ["approved"] * 2 + ["requested"] * 6


async def test_movements_of_wallets_and_withdrawals_say_which_company_keeps_them(till: Till, admin: Viewer) -> None:
    shop = till.shop
    await (await shop.viewer(funds=500)).ask(
        "POST", "wallet/transfers", 201, {"to": "ada", "amount": 100, "currency": "USD"}
    )
    first, second = [(await till.withdraw(5000)).json()["id"] for _ in range(2)]
    await admin.ask("POST", f"withdrawals/{first}/reject", body={"reason": "no such account"})
    await admin.ask("POST", f"withdrawals/{second}/approve")
    shop.control.clock.advance(3 * DAY_S)
    await admin.ask("POST", f"withdrawals/{second}/complete", body={"rail_ref": "T1"})
    rows = await shop.control.rows(
        "select distinct t.kind, p.legal_entity from posting p join txn t on t.id = p.txn "
        "where t.kind in ('transfer', 'withdrawal', 'withdrawal-returned', 'payout') order by t.kind"
    )
    assert [(row["kind"], row["legal_entity"]) for row in rows] == [
        ("payout", "usher"), ("transfer", "usher"), ("withdrawal", "usher"), ("withdrawal-returned", "usher"),
    ]  # fmt: skip


async def test_withdrawals_at_once_take_no_more_than_there_is(till: Till) -> None:
    answers = await asyncio.gather(*(till.withdraw(6000) for _ in range(12)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [409] * 9
    assert (await till.amounts())[:2] == [2000, 18_000]
    answers = await asyncio.gather(*(till.withdraw(500, key="once", rail="bank") for _ in range(5)))
    assert {code_of(answer) for answer in answers} <= {(422, "withdrawal-too-small"), (409, "in-flight")}


async def test_only_owners_take_earnings_out_and_only_who_may_decides(till: Till, shop: Shop) -> None:
    vera = await shop.viewer()
    body = {"amount": 5000, "currency": "USD"}
    assert code_of(await vera.send("POST", f"sellers/{till.handle}/withdrawals", body)) == (403, "forbidden")
    await vera.ask("GET", f"sellers/{till.handle}/payout-terms", 403)
    made = (await till.withdraw(5000)).json()
    for who in (vera, shop.owner):
        assert code_of(await who.send("POST", f"withdrawals/{made['id']}/approve")) == (403, "forbidden")
    assert (await till.amounts())[:2] == [15_000, 5000]


async def test_earnings_say_pending_available_on_the_way_and_owed(till: Till, shop: Shop) -> None:
    await shop.bought(await shop.viewer(funds=500))
    await till.withdraw(5000)
    found = (await shop.owner.ask("GET", f"sellers/{till.handle}/earnings"))["items"]
    assert found == [
        {"currency": "USD", "pending": 450, "available": 15_000, "in_transit": 5000, "owed": 0, "shown": None}
    ]
