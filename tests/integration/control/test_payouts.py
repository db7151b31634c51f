"""Payout runs: what is due is paid together, by a provider or by hand, and once whatever dies on the way."""

from __future__ import annotations

import asyncio
import contextlib
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from gateway.control.db import Begin
from gateway.control.payments.providers.base import PaidOut
from gateway.control.payouts import actions
from gateway.control.wallet.withdrawals import OWED
from gateway.control.wiring import Unit
from gateway.control.worker import money
from shared.clock import ManualClock
from shared.metrics import PAYOUTS_LATE
from shared.settings import ControlSettings
from tests.support.control import code_of
from tests.support.ledger import movement
from tests.support.postgres import WAITING
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.till import Till, open_till
from tests.support.worker import until

DAY_S = 86400


class Office:
    """A seller with 300.00 available and an account at Stripe, an admin, and the worker's turns."""

    def __init__(self, till: Till, shop: Shop, admin: Viewer) -> None:
        self.till, self.shop, self.admin, self.control = till, shop, admin, till.control
        self.seller, self.handle = shop.seller.seller["id"], shop.seller.seller["handle"]
        self.stripe, self.account = till.hands.server, ""

    async def terms(self, rail: str, *, hold_days: int = 0) -> None:
        """All up to 200.00 is paid without asking anybody."""
        terms = {"rail": rail, "currency": "USD", "minimum": 1000, "hold_days": hold_days, "auto_up_to": 20_000}
        await self.admin.ask("PUT", "policies", body=terms)

    async def open_account(self) -> None:
        """The seller opens an account at Stripe and tells it everything."""
        path = f"sellers/{self.handle}/payees/stripe"
        await self.shop.owner.ask("POST", path, body={"country": "US"})
        self.account = next(iter(self.stripe.folders["accounts"]))
        self.stripe.onboard(self.account)
        await self.till.hear()

    async def withdraw(self, amount: int, rail: str) -> str:
        """The seller takes so much out; the withdrawal."""
        body = {"amount": amount, "currency": "USD", "rail": rail}
        self.control.clock.advance(1)
        made = await self.shop.owner.ask("POST", f"sellers/{self.handle}/withdrawals", 201, body)
        return str(made["id"])

    async def work(self) -> None:
        """One turn of the worker."""
        await money.pay_out(self.control.wiring)

    async def states(self) -> list[tuple[str, str]]:
        """State and reason of each withdrawal, in the order they were made."""
        rows = await self.control.rows("select state, reason from withdrawal order by created_at, id")
        return [(row["state"], row["reason"]) for row in rows]

    async def amounts(self) -> list[int]:
        """Available, on its way, what left by Stripe, what left by the bank."""
        codes = (f"earnings:{self.seller}", f"payout_in_transit:{self.seller}", "cash:stripe", "cash:bank")
        return await self.shop.amounts(*codes)

    @property
    def sent(self) -> list[int]:
        """Amounts of the transfers at Stripe."""
        return [one["amount"] for one in self.stripe.folders["transfers"].values()]


@pytest.fixture
async def office(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Office]:
    """A seller with earnings, paid out by Stripe and by hand."""
    async with open_till(settings, clock) as till:
        shop = await open_shop(till.control)
        made = Office(till, shop, await shop.viewer("ada", role="admin"))
        await shop.books.fund(30_000, f"earnings__{made.seller}")
        for rail in ("stripe", "bank"):
            await made.terms(rail)
        await made.open_account()
        yield made


async def test_provider_pays_what_is_due_in_one_run_and_that_is_booked(office: Office) -> None:
    for amount in (5000, 6000):
        await office.withdraw(amount, "stripe")
    await office.work()
    assert await office.states() == [("paid", ""), ("paid", "")]
    assert sorted(office.sent) == [5000, 6000]
    assert await office.amounts() == [19_000, 0, 11_000, -30_000]
    run = (await office.admin.ask("GET", "payouts"))["items"][0]
    assert (run["rail"], run["count"], run["amount"], run["by_hand"]) == ("stripe", 2, 11_000, False)
    assert run["closed_at"] is not None
    items = (await office.admin.ask("GET", f"payouts/{run['id']}"))["items"]
    assert {item["rail_ref"] for item in items} == set(office.stripe.folders["transfers"])
    changed = [row["data"]["state"] for row in await office.control.events("payout.changed")]
    assert changed == ["approved", "approved", "paid", "paid"]
    actions = await office.control.rows("select actor, action from audit where action like 'payout:%' order by seq")
    done = [(row["actor"], row["action"]) for row in actions][-3:]
    assert done == [("worker", "payout:run"), ("worker", "payout:decide"), ("worker", "payout:decide")]
    await office.work()
    assert len((await office.admin.ask("GET", "payouts"))["items"]) == 1
    await office.shop.audit()


class Killed(Exception):
    """The worker died here."""


def dying(begin: Begin[Unit], after: int) -> Begin[Unit]:
    """Transactions of which so many are begun, then none: a half of the deaths is before a commit, as it happens."""
    left = [after]

    @contextlib.asynccontextmanager
    async def begun() -> AsyncIterator[Unit]:
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        async with begin() as unit:
            yield unit
            if left[0] == 0:
                raise Killed

    return begun


@pytest.mark.parametrize("by", ["bank", "stripe"])
async def test_worker_that_dies_between_any_two_steps_pays_once(office: Office, by: str) -> None:
    wiring, payers = office.control.wiring, office.control.wiring["providers"].payers
    for amount in (5000, 6000):
        await office.withdraw(amount, by)
    deaths = 0
    for after in range(12):
        begin = dying(wiring["begin"], after)
        try:
            await actions.gather(payers, begin=begin, clock=wiring["clock"])
            await actions.pay(payers, begin=begin, clock=wiring["clock"])
        except Killed:
            deaths += 1
            office.stripe.kept.clear()  # Stripe forgets the keys of requests within a day
    assert deaths >= 4
    assert (await office.amounts())[:2] == [19_000, 0 if by == "stripe" else 11_000]
    assert len((await office.admin.ask("GET", "payouts"))["items"]) == 1
    if by == "stripe":
        assert sorted(office.sent) == [5000, 6000]
        assert await office.states() == [("paid", "")] * 2
    await office.shop.audit()


@pytest.mark.parametrize("fault", ["429", "500", "500 after", "cut", "409"])
async def test_provider_that_fails_is_asked_again_and_pays_once(office: Office, fault: Any) -> None:
    await office.withdraw(5000, "stripe")
    office.stripe.fail(*[fault] * 8)
    await office.work()
    office.stripe.faults.clear()
    for _ in range(3):
        office.control.clock.advance(60)
        await office.work()
    assert (office.sent, await office.states()) == ([5000], [("paid", "")])
    assert (await office.amounts())[:3] == [25_000, 0, 5000]


async def test_payout_that_goes_wrong_in_an_unforeseen_way_holds_up_no_other(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = await office.withdraw(5000, "stripe")
    await office.withdraw(6000, "stripe")
    provider = office.till.hands.provider
    known = provider.payout

    async def broken(id: str) -> PaidOut | None:
        if id == bad:
            raise ValueError("no such field")
        return await known(id)

    with monkeypatch.context() as changed:
        changed.setattr(provider, "payout", broken)
        await office.work()
    assert (office.sent, await office.states()) == ([6000], [("paying", ""), ("paid", "")])
    office.control.clock.advance(60)
    await office.work()
    assert await office.states() == [("paid", ""), ("paid", "")]


async def test_payout_whose_key_came_before_is_looked_for_and_asked_under_another(office: Office) -> None:
    id = await office.withdraw(5000, "stripe")
    office.stripe.kept[f"payout:{id}:0"] = ("another request", 200, {})
    await office.work()
    assert (office.sent, await office.states()) == ([], [("paying", actions.CLASH)])
    office.control.clock.advance(120)
    await office.work()
    assert (office.sent, await office.states()) == ([5000], [("paid", "")])
    assert (await office.amounts())[:3] == [25_000, 0, 5000]


async def test_payout_whose_key_came_before_counts_when_it_was_made(office: Office) -> None:
    id = await office.withdraw(5000, "stripe")

    def made_by_another_request() -> None:
        office.stripe.kept[f"payout:{id}:0"] = ("another request", 200, {})
        office.stripe.transfer(
            {
                "amount": "5000",
                "currency": "usd",
                "destination": office.account,
                "transfer_group": id,
                "metadata": {"withdrawal": id},
            }
        )

    office.stripe.meanwhile = made_by_another_request
    await office.work()
    assert (office.sent, await office.states()) == ([5000], [("paid", "")])
    assert (await office.amounts())[:3] == [25_000, 0, 5000]


async def test_payout_whose_keys_all_came_before_is_available_again(office: Office) -> None:
    id = await office.withdraw(5000, "stripe")
    for number in range(2):
        office.stripe.kept[f"payout:{id}:{number}"] = ("another request", 200, {})
    for _ in range(2):
        await office.work()
        office.control.clock.advance(120)
    [(state, reason)] = await office.states()
    assert (state, office.sent) == ("returned", []) and "other values" in reason
    assert (await office.amounts())[:2] == [30_000, 0]
    run = (await office.admin.ask("GET", "payouts"))["items"][0]
    assert run["closed_at"] is not None
    await office.shop.audit()


async def test_balance_that_is_too_low_is_waited_for(office: Office) -> None:
    await office.withdraw(5000, "stripe")
    office.stripe.funds = 4999
    for _ in range(3):
        await office.work()
        office.control.clock.advance(DAY_S)
    assert (office.sent, await office.states()) == ([], [("paying", "")])
    await money.set_gauges(office.control.wiring)
    assert PAYOUTS_LATE._value.get() == 1
    office.stripe.funds = 5000
    await office.work()
    assert (office.sent, await office.states()) == ([5000], [("paid", "")])


async def test_payout_that_the_provider_refuses_is_available_again_with_its_reason(office: Office) -> None:
    await office.withdraw(5000, "stripe")
    office.stripe.folders["accounts"][office.account]["payouts_enabled"] = False
    await office.work()
    [(state, reason)] = await office.states()
    assert state == "returned" and "capabilities" in reason
    assert await office.amounts() == [30_000, 0, 0, -30_000]
    mine = (await office.shop.owner.ask("GET", f"sellers/{office.handle}/withdrawals"))["items"]
    assert mine[0]["reason"] == reason
    assert [row["data"]["state"] for row in await office.control.events("payout.changed")][-1] == "returned"
    await office.shop.audit()


async def test_seller_without_an_account_cannot_take_out_by_its_rail(office: Office) -> None:
    await office.control.rows("update payee set can_be_paid = false")
    body = {"amount": 5000, "currency": "USD", "rail": "stripe"}
    answer = await office.shop.owner.send("POST", f"sellers/{office.handle}/withdrawals", body)
    assert code_of(answer) == (409, "no-payout-account")


async def test_what_a_provider_may_be_paying_is_decided_by_nobody(office: Office) -> None:
    id = await office.withdraw(5000, "stripe")
    office.stripe.funds = 0
    await office.work()
    for path, body in (("reject", {"reason": "no"}), ("complete", {"rail_ref": "T1"})):
        answer = await office.admin.send("POST", f"withdrawals/{id}/{path}", body)
        assert code_of(answer) == (409, "withdrawal-paying")
    run = (await office.admin.ask("GET", "payouts"))["items"][0]["id"]
    answer = await office.admin.send("POST", f"payouts/{run}/complete", {"rail_ref": "T1"})
    assert code_of(answer) == (409, "run-not-by-hand")
    office.stripe.funds = 5000
    office.control.clock.advance(DAY_S)
    await office.work()
    answer = await office.admin.send("POST", f"withdrawals/{id}/reject", {"reason": "no", "came_back": True})
    assert (code_of(answer), await office.states()) == ((409, "withdrawal-paid"), [("paid", "")])


async def test_run_by_hand_is_one_a_day_with_a_list_and_is_told_as_paid(office: Office) -> None:
    first, second = [await office.withdraw(amount, "bank") for amount in (5000, 6000)]
    for _ in range(3):
        await office.work()
    late = await office.withdraw(7000, "bank")
    await office.work()
    [run] = (await office.admin.ask("GET", "payouts"))["items"]
    assert (run["by_hand"], run["count"], run["closed_at"]) == (True, 2, None)
    answer = await office.admin.http.get(f"/v1/payouts/{run['id']}/items.csv")
    rows = list(csv.reader(io.StringIO(answer.text)))
    assert answer.headers["content-type"].startswith("text/csv")
    assert {(row[0], row[2], row[3]) for row in rows[1:]} == {
        (first, office.handle, "50.00"), (second, office.handle, "60.00"),
    }  # fmt: skip
    back = await office.admin.ask("POST", f"withdrawals/{first}/reject", body={"reason": "no such account"})
    assert back["state"] == "returned"
    done = await office.admin.ask("POST", f"payouts/{run['id']}/complete", body={"rail_ref": "T1"})
    assert done["closed_at"] is not None
    assert {item["id"]: (item["state"], item["rail_ref"]) for item in done["items"]} == {
        first: ("returned", ""), second: ("paid", "T1"),
    }  # fmt: skip
    answer = await office.admin.send("POST", f"payouts/{run['id']}/complete", {"rail_ref": "T1"})
    assert code_of(answer) == (409, "run-closed")
    office.control.clock.advance(DAY_S)
    await office.work()
    newest = (await office.admin.ask("GET", "payouts"))["items"][0]
    items = (await office.admin.ask("GET", f"payouts/{newest['id']}"))["items"]
    assert [item["id"] for item in items] == [late]
    assert await office.amounts() == [17_000, 7000, 0, -24_000]
    await office.shop.audit()


@pytest.mark.parametrize("by", ["bank", "stripe"])
async def test_what_is_due_to_a_seller_who_owes_goes_back_to_them_less_that_before_a_run_is_made(
    office: Office, by: str
) -> None:
    await office.terms(by, hold_days=1)
    for amount in (5000, 6000):
        await office.withdraw(amount, by)
    owed: dict[str, Any] = {f"receivable__{office.seller}": -700, "cash__bank": 700}
    await office.shop.books.post(movement("owes", **owed))
    await office.work()
    assert await office.states() == [("approved", "")] * 2
    office.control.clock.advance(DAY_S)
    await office.work()
    # The first pays what is owed, and the second is none of it.
    after = "paying" if by == "bank" else "paid"
    assert await office.states() == [("rejected", OWED), (after, "")]
    assert (await office.amounts())[:2] == [23_300, 6000 if by == "bank" else 0]
    assert await office.shop.amounts(f"receivable:{office.seller}") == [0]
    actor = "select actor from audit where action = 'payout:decide' and after ->> 'state' = 'rejected'"
    assert [row["actor"] for row in await office.control.rows(actor)] == ["worker"]
    await office.shop.audit()


async def test_item_of_a_run_that_the_bank_sends_back_days_later_is_available_again(office: Office) -> None:
    id = await office.withdraw(5000, "bank")
    await office.work()
    [run] = (await office.admin.ask("GET", "payouts"))["items"]
    await office.admin.ask("POST", f"payouts/{run['id']}/complete", body={"rail_ref": "T1"})
    assert await office.amounts() == [25_000, 0, 0, -25_000]
    office.control.clock.advance(4 * DAY_S)
    await office.admin.ask("POST", f"withdrawals/{id}/reject", body={"reason": "account closed", "came_back": True})
    assert await office.amounts() == [30_000, 0, 0, -30_000]
    [item] = (await office.admin.ask("GET", f"payouts/{run['id']}"))["items"]
    assert (item["state"], item["reason"]) == ("returned", "account closed")
    await office.shop.audit()


async def test_run_and_one_of_its_withdrawals_decided_at_once_wait_in_line(office: Office) -> None:
    for amount in (5000, 6000):
        await office.withdraw(amount, "bank")
    await office.work()
    [run] = (await office.admin.ask("GET", "payouts"))["items"]
    last = max(item["id"] for item in (await office.admin.ask("GET", f"payouts/{run['id']}"))["items"])
    hold = "select 1 from ledger_account where code = $1 for update"
    answers = []

    async def asked(path: str, key: str, body: dict[str, str]) -> None:
        """Ask, and go on once that waits for somebody."""
        already = len(await office.control.rows(WAITING))
        call = office.admin.http.post(f"/v1/{path}", json=body, headers={"Idempotency-Key": key})
        answers.append(asyncio.create_task(call))

        async def waits() -> bool:
            return len(await office.control.rows(WAITING)) > already

        await until(waits, within_s=60)

    async with office.control.wiring["begin"]() as unit:
        await unit.connection.execute(hold, f"payout_in_transit:{office.seller}")
        await asked(f"payouts/{run['id']}/complete", "all", {"rail_ref": "T1"})
        await asked(f"withdrawals/{last}/reject", "one", {"reason": "no such account"})

    assert [(await one).status_code for one in answers] == [200, 409]
    assert [state for state, _ in await office.states()] == ["paid", "paid"]
    await office.shop.audit()


async def test_only_who_may_looks_at_runs_and_pays_them(office: Office) -> None:
    await office.withdraw(5000, "bank")
    await office.work()
    run = (await office.admin.ask("GET", "payouts"))["items"][0]["id"]
    for method, path in (("GET", ""), ("GET", f"/{run}"), ("GET", f"/{run}/items.csv"), ("POST", f"/{run}/complete")):
        await office.shop.owner.ask(method, f"payouts{path}", 403, {"rail_ref": "T"} if method == "POST" else None)
    await office.admin.ask("GET", "payouts/run_none", 404)
