"""What happens in the moment between two steps of a request: nothing that was taken away comes back."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import jwt
import pytest

from gateway.control.accounts.store import AccountStore
from gateway.control.jobs import actions as jobs
from gateway.control.screenings import actions as screenings
from gateway.control.sellers.store import SellerStore
from shared.errors import Unavailable
from shared.jobs import Failed
from tests.support.control import PASSWORD, Control, code_of, log_in, make_seller, register
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
    waiting = "select 1 as one from pg_locks where not granted"

    async with control.wiring["begin"]() as unit:
        assert await unit.jobs.by_id(job.id, lock=True) is not None
        sending = asyncio.create_task(seller.http.put(f"/v1/titles/{title}/subtitles/en", content=SRT))
        await until(lambda: control.rows(waiting), within_s=60)
        broken = Failed(job=job.id, chunk="probe", code="no-video", words="There is no picture.", final=True)
        await jobs.apply(broken, jobs=unit.jobs, titles=unit.catalogue, outbox=unit.outbox, clock=control.clock)

    assert (await sending).status_code == 200
    assert (await seller.ask("GET", f"jobs/{job.id}"))["state"] == "failed"


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
