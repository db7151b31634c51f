"""Reconciliation on real parts: nothing on sound books, and of each thing that is taken away exactly that."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from gateway.control.checkout import actions as checkout
from gateway.control.reconciliation import actions
from gateway.control.reconciliation.model import Difference
from gateway.control.worker import money
from shared.clock import ManualClock
from shared.errors import Conflict, ProviderUnavailable
from shared.metrics import RECON_AGE, RECON_DIFFERENCES
from shared.settings import ControlSettings
from tests.support.control import code_of
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.till import Till, open_till

DAY_S = 86400


class Books:
    """A shop that sells by Stripe and the sandbox, and somebody who reconciles it."""

    def __init__(self, till: Till, shop: Shop, admin: Viewer) -> None:
        self.till, self.shop, self.admin, self.control = till, shop, admin, till.control
        self.stripe = till.hands.server
        self.stripe.clock = lambda: int(self.control.clock.epoch())
        self.ref, self.purchase = "", ""

    async def buy(self, viewer: Viewer, **about: Any) -> tuple[str, str]:
        """A purchase that was paid by Stripe and heard of: its id, and its name there."""
        bought = await self.shop.bought(viewer, pay="stripe", **about)
        ref = await self.begun(bought["id"])
        await self.till.hands.pay(ref, "approve")
        await self.hear()
        return bought["id"], ref

    async def begun(self, purchase: str) -> str:
        rows = await self.control.rows("select provider_ref from purchase where id = $1", purchase)
        return str(rows[0]["provider_ref"])

    async def hear(self) -> None:
        """Send all of Stripe's webhooks and handle them."""
        for one in await self.till.hands.webhooks():
            assert await self.till.send(one) == 204
        await self.till.work(settle=checkout.booking(self.shop.wired))

    async def refund(self, purchase: str, amount: int | None = None) -> None:
        """An admin gives back, and the worker asks Stripe for it."""
        body = {"reason": "broken", "amount": amount}
        await self.admin.ask("POST", f"payments/{purchase}/refunds", 201, body)
        await checkout.ask_refunds(shop=self.shop.wired)

    async def differences(self) -> list[Difference]:
        """What a run finds now."""
        now, wiring = self.control.clock.now(), self.control.wiring
        found = await actions.reconcile(
            now - timedelta(hours=1),
            now + timedelta(hours=1),
            providers=wiring["providers"],
            begin=wiring["begin"],
            clock=wiring["clock"],
        )
        return list(found.differences)

    async def kinds(self) -> list[str]:
        return [one.kind for one in await self.differences()]

    async def write(self, *statements: str) -> None:
        """Past all that guards the ledger, as somebody with the database in hand."""
        async with self.control.wiring["pool"].acquire() as connection:
            await connection.execute(
                "alter table posting disable trigger user; grant delete on posting to current_user"
            )
            for statement in statements:
                await connection.execute(statement)


@pytest.fixture
async def books(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Books]:
    """A title at 5.00 that somebody bought by Stripe."""
    async with open_till(settings, clock) as till:
        shop = await open_shop(till.control)
        made = Books(till, shop, await shop.viewer("ada", role="admin"))
        made.purchase, made.ref = await made.buy(await shop.viewer())
        yield made


async def test_sound_books_have_no_differences_whatever_happened(books: Books) -> None:
    shop, hands = books.shop, books.till.hands
    partly, _ = await books.buy(await shop.viewer("otto"))
    await books.refund(partly, 200)
    whole, _ = await books.buy(await shop.viewer("pia"))
    await books.refund(whole)
    _, lost = await books.buy(await shop.viewer("lea"))
    await hands.dispute(lost)
    _, won = await books.buy(await shop.viewer("max"))
    await hands.dispute(won)
    await books.hear()
    await hands.dispute(won, won=True)
    await shop.by_card(await shop.viewer("zoe"))
    await shop.bought(await shop.viewer("wim", funds=500))
    open_one = await shop.bought(await shop.viewer("eva"), pay="stripe")
    # Paid in a page that was open still, after it was bought otherwise: that comes back.
    twice = await shop.viewer("tom", funds=500)
    late = await shop.bought(twice, pay="stripe")
    await shop.bought(twice)
    await hands.pay(await books.begun(late["id"]), "approve")
    await books.hear()
    await checkout.ask_refunds(shop=shop.wired)
    top_up = await twice.ask("POST", "wallet/top-ups", 201, {"amount": 900, "currency": "USD", "pay": "stripe"})
    await hands.pay(await books.begun(top_up["id"]), "approve")
    path = f"sellers/{shop.seller.seller['handle']}/payees/stripe"
    await shop.owner.ask("POST", path, body={"country": "US"})
    books.stripe.onboard(next(iter(books.stripe.folders["accounts"])))
    await books.hear()
    await books.buy(await shop.viewer("uli"))
    assert await books.differences() == []
    assert (await twice.ask("GET", f"payments/{open_one['id']}", 404))["code"] == "not-found"


Act = Callable[[Books], Awaitable[None]]


async def forget_charge(books: Books) -> None:
    session = books.stripe.folders["sessions"].pop(books.ref)
    intent = books.stripe.folders["intents"].pop(session["payment_intent"])
    books.stripe.folders["charges"].pop(intent["latest_charge"])


async def charge_past_us(books: Books) -> None:
    books.stripe.charge(900)


async def lose_webhooks(books: Books) -> None:
    bought = await books.shop.bought(await books.shop.viewer("otto"), pay="stripe")
    await books.till.hands.pay(await books.begun(bought["id"]), "approve")


async def charge_more(books: Books) -> None:
    books.stripe.folders["sessions"][books.ref]["amount_total"] = 501


async def remove_fee(books: Books) -> None:
    await books.write(
        "delete from posting p using ledger_account a where a.id = p.account and (a.kind = 'rail_fee'"
        " or (a.kind = 'cash' and p.amount > 0))"
    )


async def remove_sale(books: Books) -> None:
    await books.write("delete from posting where txn = (select txn from purchase)")


async def refund_past_us(books: Books) -> None:
    await books.till.hands.provider.refund(books.ref, 200, "by hand")


async def undo_refund(books: Books) -> None:
    await books.refund(books.purchase, 200)
    for charge in books.stripe.folders["charges"].values():
        charge["amount_refunded"] = 0


async def refund_fails(books: Books) -> None:
    body = {"reason": "broken", "amount": 200}
    await books.admin.ask("POST", f"payments/{books.purchase}/refunds", 201, body)
    await books.control.rows("update refund set state = 'failed'")


async def dispute_unheard(books: Books) -> None:
    await books.till.hands.dispute(books.ref)


async def lose_right(books: Books) -> None:
    await books.control.rows("update entitlement set revoked_at = now()")


async def keep_right(books: Books) -> None:
    await books.refund(books.purchase)
    await books.control.rows("update entitlement set revoked_at = null")


async def change_balance(books: Books) -> None:
    await books.write("update ledger_account set balance = balance + 1 where kind = 'earnings_pending'")


@pytest.mark.parametrize(
    ("act", "wanted"),
    [
        (forget_charge, [("booked-not-charged", 500, 0)]),
        (charge_past_us, [("charged-not-booked", 0, 900)]),
        (lose_webhooks, [("charged-not-booked", 0, 500)]),
        (charge_more, [("amount", 500, 501)]),
        (remove_fee, [("fee", 0, 45)]),
        (remove_sale, [("charged-not-booked", 0, 500), ("ledger", 450, 0)]),
        (refund_past_us, [("refund-not-booked", 0, 200)]),
        (undo_refund, [("refund-not-made", 200, 0)]),
        (refund_fails, [("refund-not-made", 200, 0)]),
        (dispute_unheard, [("dispute", 0, 500), ("fee", 45, 1545)]),
        (lose_right, [("right-missing", 0, 0)]),
        (keep_right, [("right-left", 0, 0)]),
        (change_balance, [("ledger", 451, 450)]),
    ],
)
async def test_what_is_taken_away_is_found_and_that_alone(
    books: Books, act: Act, wanted: list[tuple[str, int, int]]
) -> None:
    assert await books.differences() == []
    await act(books)
    assert [(one.kind, one.ours, one.theirs) for one in await books.differences()] == wanted


async def test_what_lies_with_a_sellers_own_account_is_compared_once_nothing_of_it_is_on_its_way(books: Books) -> None:
    shop, hands, clock = books.shop, books.till.hands, books.control.clock
    path = f"sellers/{shop.seller.seller['handle']}/payees/stripe"
    await shop.owner.ask("POST", path, body={"country": "US"})
    books.stripe.onboard(next(iter(books.stripe.folders["accounts"])))
    await books.hear()
    for name, of_seller in (("otto", None), ("pia", 0)):
        _, ref = await books.buy(await shop.viewer(name))
        await hands.provider.refund(ref, 333, "by hand", of_seller=of_seller)
    mine, _ = await books.buy(await shop.viewer("lea"))
    await books.refund(mine, 199)
    _, lost = await books.buy(await shop.viewer("max"))
    await hands.dispute(lost)
    assert await books.kinds() == ["dispute", "fee"]
    await books.hear()
    assert await books.differences() == []
    clock.advance(DAY_S + 1)
    for folder in ("sessions", "charges", "disputes", "refunds"):
        for one in books.stripe.folders[folder].values():
            one["created"] += DAY_S
    assert [(one.kind, one.ours, one.theirs) for one in await books.differences()] == [
        ("passed-on", 150, 450),
        ("passed-on", 0, 450),
    ]
    assert await checkout.ask_reversals(shop=shop.wired) == 2
    assert await books.differences() == []
    for transfer in books.stripe.folders["transfers"].values():
        transfer["amount_reversed"] = transfer["amount"]
    assert set(await books.kinds()) == {"passed-on"}


async def test_payment_at_the_edge_of_the_period_is_no_difference(books: Books) -> None:
    server, made = books.stripe, books.control.clock.epoch()
    # The purchase is within the period, its session was made a moment after it.
    for folder in ("sessions", "charges"):
        for one in server.folders[folder].values():
            one["created"] = int(made) + 2 * 3600
    assert await books.differences() == []
    assert len(await forgetful(books)) == 1


async def forgetful(books: Books) -> list[Difference]:
    await forget_charge(books)
    return await books.differences()


async def test_payouts_are_compared_with_the_providers_own(books: Books) -> None:
    shop, handle = books.shop, books.shop.seller.seller["handle"]
    await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}")
    terms = {"rail": "stripe", "currency": "USD", "minimum": 1000, "hold_days": 0, "auto_up_to": 20_000}
    await books.admin.ask("PUT", "policies", body=terms)
    await shop.owner.ask("POST", f"sellers/{handle}/payees/stripe", body={"country": "US"})
    books.stripe.onboard(next(iter(books.stripe.folders["accounts"])))
    await books.hear()
    body = {"amount": 5000, "currency": "USD", "rail": "stripe"}
    await shop.owner.ask("POST", f"sellers/{handle}/withdrawals", 201, body)
    await money.pay_out(books.control.wiring)
    assert await books.differences() == []
    await books.control.rows("update withdrawal set state = 'returned'")
    assert [(one.kind, one.ours, one.theirs) for one in await books.differences()] == [("payout-not-booked", 0, 5000)]
    await books.control.rows("update withdrawal set state = 'paid'")
    for transfer in books.stripe.folders["transfers"].values():
        transfer["amount_reversed"] = transfer["amount"]
    assert await books.kinds() == ["payout-not-made"]


async def switch(books: Books, *, on: bool) -> None:
    """The flag, seen at once."""
    await books.admin.ask("PUT", "flags/recon.enabled", body={"enabled": on})
    books.control.clock.advance(2)


async def nightfall(books: Books) -> None:
    """Four in the morning of the next day."""
    now = books.control.clock.now()
    books.control.clock.advance(((now + timedelta(days=1)).replace(hour=4, minute=0) - now).total_seconds())


async def test_each_night_one_worker_reconciles_while_the_flag_is_on(books: Books) -> None:
    wiring = books.control.wiring
    await nightfall(books)
    await money.reconcile(wiring)
    assert await books.admin.ask("GET", "reconciliations") == {"items": [], "is_on": False}
    await switch(books, on=True)
    await forget_charge(books)
    for _ in range(2):
        await asyncio.gather(*(money.reconcile(wiring) for _ in range(4)))
    [report] = (await books.admin.ask("GET", "reconciliations"))["items"]
    assert (report["state"], report["counts"], report["purchases"]) == ("done", {"booked-not-charged": 1}, 1)
    full = await books.admin.ask("GET", f"reconciliations/{report['id']}")
    [found] = full["differences"]
    assert (found["rail"], found["ref"], found["purchase"]) == ("stripe", books.ref, books.purchase)
    assert found["words"].startswith("It is booked as paid")
    await money.set_gauges(wiring)
    assert RECON_DIFFERENCES.labels("booked-not-charged")._value.get() == 1
    await nightfall(books)
    await money.set_gauges(wiring)
    assert 0 < RECON_AGE._value.get() <= DAY_S
    await asyncio.gather(*(money.reconcile(wiring) for _ in range(4)))
    listed = await books.admin.ask("GET", "reconciliations")
    assert (len(listed["items"]), listed["is_on"]) == (2, True)
    await switch(books, on=False)
    await money.set_gauges(wiring)
    assert RECON_DIFFERENCES.labels("booked-not-charged")._value.get() == RECON_AGE._value.get() == 0


async def test_run_that_was_asked_for_is_done_by_the_worker_and_kept(books: Books) -> None:
    answer = await books.admin.send("POST", "reconciliations", {})
    assert code_of(answer) == (409, "recon-off")
    await switch(books, on=True)
    now = books.control.clock.now()
    for wrong in (
        {"since": now.isoformat(), "until": (now - timedelta(hours=2)).isoformat()},
        {"until": (now + timedelta(hours=2)).isoformat()},
        {"since": "2026-11-01T00:00:00", "until": "2026-11-02T00:00:00"},
    ):
        await books.admin.ask("POST", "reconciliations", 422, wrong)
    asked = await books.admin.ask("POST", "reconciliations", 202, {"until": now.isoformat()})
    assert asked["state"] == "asked"
    await actions.run_due(
        providers=books.control.wiring["providers"], begin=books.control.wiring["begin"], clock=books.control.clock
    )
    done = await books.admin.ask("GET", f"reconciliations/{asked['id']}")
    assert (done["state"], done["charges"], done["purchases"], done["differences"]) == ("done", 1, 1, [])
    for who, status in ((books.shop.owner, 403), (await books.shop.viewer("aud", role="auditor"), 200)):
        await who.ask("GET", f"reconciliations/{asked['id']}", status)
        await who.ask("POST", "reconciliations", 403, {})
    await books.admin.ask("GET", "reconciliations/rec_none", 404)


async def test_run_without_the_providers_word_waits_for_it_and_then_fails(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    wiring = books.control.wiring
    await switch(books, on=True)
    asked = await books.admin.ask("POST", "reconciliations", 202, {"until": books.control.clock.now().isoformat()})
    key, books.stripe.key = books.stripe.key, "sk_of_another"
    ports: dict[str, Any] = {"providers": wiring["providers"], "begin": wiring["begin"], "clock": wiring["clock"]}
    await actions.run_due(**ports)
    waiting = await books.admin.ask("GET", f"reconciliations/{asked['id']}")
    assert (waiting["state"], waiting["tries"], bool(waiting["words"])) == ("asked", 1, True)
    assert await actions.run_due(**ports) is None
    books.stripe.key = key
    books.control.clock.advance(60)
    found = await actions.run_due(**ports)
    assert found is not None and (found.state, found.counts) == ("done", {})
    monkeypatch.setattr(actions, "TRIES", 1)
    troubles: list[Exception] = [ProviderUnavailable(), Conflict("Not now."), ValueError("no such field")]

    async def away(*_: object, **__: object) -> None:
        raise troubles.pop()

    monkeypatch.setattr(actions, "reconcile", away)
    for words in ("It went wrong: ValueError.", "Not now.", str(ProviderUnavailable())):
        await books.admin.ask("POST", "reconciliations", 202, {"until": books.control.clock.now().isoformat()})
        failed = await actions.run_due(**ports)
        assert failed is not None and (failed.state, failed.words) == ("failed", words)
