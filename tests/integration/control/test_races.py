"""What happens in the moment between two steps of a request: nothing that was taken away comes back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, cast

import jwt
import pytest

from gateway.control.accounts.store import AccountStore
from gateway.control.checkout.actions import rights
from gateway.control.jobs import actions as jobs
from gateway.control.screenings import actions as screenings
from gateway.control.sellers.store import SellerStore
from shared.errors import Unavailable
from shared.jobs import Failed
from tests.support.control import PASSWORD, Control, code_of, log_in, make_seller, register
from tests.support.postgres import WAITING
from tests.support.shop import open_shop
from tests.support.titles import desk
from tests.support.worker import until

NEW = "a new password"
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"


async def _set_password(control: Control, principal: str) -> None:
    """What a reset link does, in a transaction of its own."""
    password_hash = await control.wiring["passwords"].hash(NEW)
    async with control.wiring["begin"]() as unit:
        await unit.accounts.set_password(principal, password_hash)


async def test_password_stays_when_it_is_reset_during_a_change_of_name(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = await register(control.http, "ada")
    change, resetting = AccountStore.change_account, []

    async def slow(store: AccountStore, account: Any) -> None:
        resetting.append(asyncio.create_task(_set_password(control, me["id"])))
        await asyncio.wait(resetting, timeout=0.5)
        await change(store, account)

    monkeypatch.setattr(AccountStore, "change_account", slow)
    assert (await control.http.patch("/v1/me", json={"username": "lovelace"})).status_code == 200
    await asyncio.gather(*resetting)
    await log_in(control.browser(), "lovelace", NEW)


@pytest.mark.parametrize(
    ("method", "body"),
    [
        ("PATCH", {"password": "of the thief", "current_password": PASSWORD}),
        ("PATCH", {"email": "thief@example.org", "current_password": PASSWORD}),
        ("DELETE", {"password": PASSWORD}),
    ],
)
async def test_old_password_is_worth_nothing_when_it_is_reset_after_it_was_looked_at(
    control: Control, monkeypatch: pytest.MonkeyPatch, method: str, body: dict[str, str]
) -> None:
    me = await register(control.http, "ada")
    succeeded = control.wiring["attempts"].succeeded

    async def slow(account: str, address: str) -> None:
        await succeeded(account, address)
        await _set_password(control, me["id"])

    monkeypatch.setattr(control.wiring["attempts"], "succeeded", slow)
    answer = await control.http.request(method, "/v1/me", json=body)
    monkeypatch.undo()
    assert code_of(answer) == (403, "wrong-password")
    assert (await log_in(control.browser(), "ada", NEW))["email"] == "ada@example.org"


async def test_one_of_two_owners_stays_when_both_delete_their_accounts_at_once(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    seller = await desk(control)
    await seller.published()
    other = control.browser()
    await register(other, "eve")
    handle = (await control.rows("select handle from seller"))[0]["handle"]
    joined = await seller.http.put(f"/v1/sellers/{handle}/members/eve", json={"role": "owner"})
    assert joined.status_code == 204, joined.text
    look, met = SellerStore.alone_with, asyncio.Barrier(2)

    async def together(store: SellerStore, principal: str) -> Any:
        found = await look(store, principal)
        with contextlib.suppress(TimeoutError, asyncio.BrokenBarrierError):
            async with asyncio.timeout(1):
                await met.wait()
        return found

    monkeypatch.setattr(SellerStore, "alone_with", together)
    both = (http.request("DELETE", "/v1/me", json={"password": PASSWORD}) for http in (seller.http, other))
    answers = await asyncio.gather(*both)
    assert sorted(answer.status_code for answer in answers) == [204, 409]


async def test_transaction_that_met_another_head_on_is_to_be_tried_again(control: Control) -> None:
    await register(control.http, "ada")
    for handle in ("films", "songs"):
        await make_seller(control.http, handle)
    met = asyncio.Barrier(2)

    async def lock(first: str, second: str) -> None:
        async with control.wiring["begin"]() as unit:
            await unit.sellers.lock(first)
            await met.wait()
            await unit.sellers.lock(second)

    ids = [row["id"] for row in await control.rows("select id from seller order by id")]
    ends = await asyncio.gather(lock(*ids), lock(*reversed(ids)), return_exceptions=True)
    assert [type(end) for end in ends if end is not None] == [Unavailable]


async def test_subtitles_and_a_message_of_the_farm_wait_in_line_for_a_title(control: Control) -> None:
    seller = await desk(control)
    title = (await seller.ready())["id"]
    job = await seller.queue(title)

    async with control.wiring["begin"]() as unit:
        assert await unit.jobs.by_id(job.id, lock=True) is not None
        sending = asyncio.create_task(seller.http.put(f"/v1/titles/{title}/subtitles/en", content=SRT))
        await until(lambda: control.rows(WAITING), within_s=60)
        broken = Failed(job=job.id, chunk="probe", code="no-video", words="There is no picture.", final=True)
        await jobs.apply(broken, jobs=unit.jobs, titles=unit.catalogue, outbox=unit.outbox, clock=control.clock)

    assert (await sending).status_code == 200
    assert (await seller.ask("GET", f"jobs/{job.id}"))["state"] == "failed"


async def test_refund_waits_in_line_for_a_link_that_is_being_made(control: Control) -> None:
    shop = await open_shop(control)
    rent = await shop.offers(kind="rent", hours=24, amount=300)
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer(funds=300)
    purchase = await shop.bought(vera, offer=rent["id"], version=rent["version"])
    right = (await control.rows("select e.id, p.sub from entitlement e join principal p on p.id = e.principal"))[0]
    refund, key = f"/v1/payments/{purchase['id']}/refunds", {"Idempotency-Key": "refund-once"}

    async with control.wiring["begin"]() as unit:
        await unit.outbox.ended(title=shop.title, sub=right["sub"])
        refunding = asyncio.create_task(admin.http.post(refund, json={"reason": "asked for"}, headers=key))
        await until(lambda: control.rows(WAITING), within_s=60)
        now = control.clock.now()
        assert await unit.entitlements.link(right["id"], link_at=now, span_s=3600, sid=None, fresh=False) is not None

    assert (await refunding).status_code == 201
    assert await shop.rights(vera) == []


async def test_who_loses_two_rights_at_once_plays_on_by_neither(control: Control) -> None:
    shop = await open_shop(control)
    vera = await shop.viewer(funds=500)
    purchase = await shop.bought(vera)
    viewer = f"titles/{shop.title}/viewers/vera"
    await shop.owner.ask("PUT", viewer, 204)

    async with control.wiring["begin"]() as unit:
        bought = await unit.purchases.by_id(purchase["id"], lock=True)
        assert bought is not None
        await rights.end(bought, unit=cast(Any, unit), shop=shop.wired)
        revoking = asyncio.create_task(shop.owner.send("DELETE", viewer))

        async def met() -> bool:
            return revoking.done() or bool(await control.rows(WAITING))

        await until(met, within_s=60)

    assert (await revoking).status_code == 204
    sub = (await control.rows("select sub from principal where id = $1", vera.id))[0]["sub"]
    assert f"push.sub {sub}" in await shop.pushes()


async def test_two_sales_that_book_on_the_same_accounts_wait_in_line(control: Control) -> None:
    shop = await open_shop(control)
    seller = f"earnings_pending:{shop.seller.seller['id']}"
    await shop.bought(await shop.viewer("first", funds=500))
    rita, vera = await shop.viewer("rita", funds=500), await shop.viewer(funds=500)
    code = (await rita.ask("PUT", "me/referral"))["code"]
    path = f"/v1/titles/{shop.title}/checkout"
    hold = "select 1 from ledger_account where code = $1 for update"

    async def waiting(count: int) -> bool:
        return len(await control.rows(WAITING)) >= count

    async with control.wiring["begin"]() as unit:
        await unit.connection.execute(hold, seller)
        own = asyncio.create_task(rita.http.post(path, json=shop.order(), headers={"Idempotency-Key": "own"}))
        await until(lambda: waiting(1), within_s=60)
        order = shop.order(referral=code)
        brought = asyncio.create_task(vera.http.post(path, json=order, headers={"Idempotency-Key": "brought"}))
        await until(lambda: waiting(2), within_s=60)

    assert [(await one).status_code for one in (own, brought)] == [201, 201]
    await shop.audit()


async def test_account_is_deleted_after_a_link_that_was_being_made(control: Control) -> None:
    title = await (await desk(control)).published()
    http = control.browser()
    me = await register(http, "vera")
    assert (await http.post(f"/v1/titles/{title['id']}/play", json={})).status_code == 200
    [kept] = await control.rows("select s.sid, p.sub from screening s join principal p on p.id = s.principal")

    async with control.wiring["begin"]() as unit:
        await unit.outbox.ended(sub=kept["sub"])
        deleting = asyncio.create_task(http.request("DELETE", "/v1/me", json={"password": PASSWORD}))
        await until(lambda: control.rows(WAITING), within_s=60)
        found = await unit.screenings.by_sid(kept["sid"])
        assert found is not None
        await unit.screenings.put(found, at=control.clock.now())

    assert (await deleting).status_code == 204
    assert await control.rows("select sid from screening where principal = $1", me["id"]) == []


async def test_no_link_is_made_for_who_was_shut_out_while_it_was_asked_for(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = await (await desk(control)).published()
    http = control.browser()
    me = await register(http, "vera")
    session_of = screenings.session_of

    async def slow(*args: Any, **ports: Any) -> str:
        await control.rows("update principal set disabled_at = now() where id = $1", me["id"])
        return await session_of(*args, **ports)

    monkeypatch.setattr(screenings, "session_of", slow)
    answer = await http.post(f"/v1/titles/{title['id']}/play", json={})
    assert answer.status_code == 401


async def test_link_is_of_the_moment_in_which_the_right_was_looked_at(
    control: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = await (await desk(control)).published()
    asked, session_of = int(control.clock.epoch()), screenings.session_of

    async def slow(*args: Any, **ports: Any) -> str:
        control.clock.advance(5)
        return await session_of(*args, **ports)

    monkeypatch.setattr(screenings, "session_of", slow)
    answer = await control.http.post(f"/v1/titles/{title['id']}/play", json={})
    token = answer.json()["url"].split("/t/")[1].split("/")[0]
    assert jwt.decode(token, options={"verify_signature": False})["iat"] == asked


async def test_database_is_unavailable_when_the_connection_is_lost_between_two_statements(control: Control) -> None:
    with pytest.raises(Unavailable):
        async with control.wiring["begin"]() as unit:
            lost = asyncio.Event()
            unit.connection.add_termination_listener(lambda _: lost.set())
            pid = await unit.connection.fetchval("select pg_backend_pid()")
            await control.rows("select pg_terminate_backend($1)", pid)
            await asyncio.wait_for(lost.wait(), 60)
            await unit.connection.fetchval("select 1")
