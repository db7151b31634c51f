"""Requests that change the same rows at once wait in line: all hold them in one order, so none has to give way."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx2
import pytest

from gateway.control.accounts import actions as accounts
from gateway.control.accounts.store import AccountStore
from gateway.control.coupons.store import CouponStore
from gateway.control.offers.store import OfferStore
from gateway.control.office.store import OfficeStore
from gateway.control.sandbox.model import NAME
from shared.ids import new_id
from tests.support.control import PASSWORD, Control, code_of, make_admin, make_seller, post, register
from tests.support.postgres import met
from tests.support.shop import Shop, Viewer, open_shop, ref_of

TOKEN = "t" * 43


async def _link(control: Control, principal: str) -> None:
    """A reset link whose token is TOKEN, in the mailbox."""
    hashed, now = hashlib.sha256(TOKEN.encode()).digest(), control.clock.now()
    async with control.wiring["begin"]() as unit:
        assert await unit.accounts.add_reset(hashed, principal, at=now, until=now + timedelta(hours=2))


def _in_the_midst(
    monkeypatch: pytest.MonkeyPatch, where: tuple[type, str], control: Control, ask: Callable[[], Awaitable[Any]]
) -> list[asyncio.Task[Any]]:
    """Another request, asked once the first one comes to a step of a store: the step waits until that waits too."""
    asked: list[asyncio.Task[Any]] = []
    step = getattr(*where)

    async def slow(*args: Any, **named: Any) -> Any:
        if not asked:
            asked.append(asyncio.ensure_future(ask()))
            await met(control.rows, asked[0])
        return await step(*args, **named)

    monkeypatch.setattr(*where, slow)
    return asked


@pytest.mark.parametrize(
    ("step", "request_of"),
    [
        ("change_account", ("PATCH", "me", {"email": "new@example.org", "current_password": PASSWORD})),
        ("anonymise", ("DELETE", "me", {"password": PASSWORD})),
        ("end_resets", ("PUT", "admin/users/vera/disabled", {"reason": "stolen cards"})),
    ],
    ids=["change of mail", "deletion", "exclusion"],
)
async def test_link_to_a_new_password_waits_for_what_ends_it(
    control: Control, monkeypatch: pytest.MonkeyPatch, step: str, request_of: tuple[str, str, dict[str, str]]
) -> None:
    admin, vera = control.http, control.browser()
    await make_admin(control, (await register(admin, "ada"))["id"])
    await _link(control, (await register(vera, "vera"))["id"])
    stranger, (method, path, body) = control.browser(), request_of

    def reset() -> Awaitable[httpx2.Response]:
        return post(stranger, "auth/reset", token=TOKEN, password="of the old mailbox")

    resetting = _in_the_midst(monkeypatch, (AccountStore, step), control, reset)
    answer = await (vera if path == "me" else admin).request(method, f"/v1/{path}", json=body)
    assert answer.is_success, answer.text
    assert code_of(await resetting[0]) == (410, "reset-over")


async def test_account_that_is_shut_out_while_it_is_deleted_is_gone(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin, vera = control.http, control.browser()
    await make_admin(control, (await register(admin, "ada"))["id"])
    await register(vera, "vera")

    def leave() -> Awaitable[httpx2.Response]:
        return vera.request("DELETE", "/v1/me", json={"password": PASSWORD})

    leaving = _in_the_midst(monkeypatch, (OfficeStore, "disable"), control, leave)
    assert (await admin.put("/v1/admin/users/vera/disabled", json={"reason": "stolen cards"})).status_code == 200
    assert (await leaving[0]).status_code == 204


async def test_owner_leaves_beside_who_changes_their_role(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, vera = control.http, control.browser()
    for http, name in ((ada, "ada"), (vera, "vera")):
        await register(http, name)
    await make_seller(ada, "films")
    assert (await ada.put("/v1/sellers/films/members/vera", json={"role": "owner"})).status_code == 204

    def leave() -> Awaitable[httpx2.Response]:
        return vera.request("DELETE", "/v1/me", json={"password": PASSWORD})

    leaving = _in_the_midst(monkeypatch, (AccountStore, "assign"), control, leave)
    assert (await ada.put("/v1/sellers/films/members/vera", json={"role": "editor"})).status_code == 204
    assert (await leaving[0]).status_code == 204


async def test_what_is_over_is_swept_beside_a_link_that_is_used(control: Control) -> None:
    vera = await register(control.http, "vera")
    await _link(control, vera["id"])
    control.clock.advance(365 * 24 * 3600)

    async def sweep() -> None:
        async with control.wiring["begin"]() as unit:
            await accounts.sweep(accounts=unit.accounts, clock=control.clock)

    async with control.wiring["begin"]() as unit:
        await unit.accounts.end_resets(vera["id"])
        sweeping = asyncio.create_task(sweep())
        await met(control.rows, sweeping)
        await unit.accounts.end_logins(vera["id"])
    await sweeping
    assert await control.rows("select 1 from login") == []


async def test_two_who_exchange_their_coupons_at_once_both_get_the_others(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(control)
    for code in ("SPRING", "AUTUMN"):
        await shop.owner.ask("POST", "sellers/studio/coupons", 201, {"code": code, "percent": 20, "uses_max": 2})
    vera, rita = await shop.viewer("vera"), await shop.viewer("rita")
    await shop.bought(vera, pay=NAME, coupon="SPRING")
    await shop.bought(rita, pay=NAME, coupon="AUTUMN")
    count_up, met = CouponStore.count_up, asyncio.Barrier(2)

    async def together(store: CouponStore, coupon: str) -> Any:
        with contextlib.suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(1):
                await met.wait()
        return await count_up(store, coupon)

    monkeypatch.setattr(CouponStore, "count_up", together)
    answers = await asyncio.gather(
        *(_click(shop, one, pay=NAME, coupon=code) for one, code in ((vera, "AUTUMN"), (rita, "SPRING")))
    )
    assert [answer.status_code for answer in answers] == [201, 201]
    rows = await control.rows("select c.code, c.used from coupon c order by c.code")
    assert [(row["code"], row["used"]) for row in rows] == [("AUTUMN", 1), ("SPRING", 1)]


async def test_sale_waits_for_a_title_that_gets_another_name_and_price(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(control)
    vera = await shop.viewer(funds=1000)
    selling = _in_the_midst(monkeypatch, (OfferStore, "of_scope"), control, lambda: _click(shop, vera))
    await shop.owner.ask("PATCH", f"titles/{shop.title}", body={"name": "Another", "price_minor": 700})
    assert code_of(await selling[0]) == (409, "price-changed")


async def test_payment_is_booked_beside_another_name_and_price(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await open_shop(control)
    vera = await shop.viewer()
    purchase = await shop.bought(vera, pay=NAME)
    await shop.hands.pay(ref_of(purchase), "approve")
    hearing = _in_the_midst(monkeypatch, (OfferStore, "of_scope"), control, shop.hear)
    await shop.owner.ask("PATCH", f"titles/{shop.title}", body={"name": "Another", "price_minor": 700})
    await hearing[0]
    assert (await vera.ask("GET", f"payments/{purchase['id']}"))["state"] == "paid"
    assert (await shop.owner.ask("GET", f"titles/{shop.title}"))["price_minor"] == 700


async def _click(shop: Shop, viewer: Viewer, **about: Any) -> httpx2.Response:
    """One click, whose answer stands even where it says to try again."""
    key = {"Idempotency-Key": new_id("key")}
    return await viewer.http.post(f"/v1/titles/{shop.title}/checkout", json=shop.order(**about), headers=key)
