"""An idempotent route: the key is asked for, the effect happens once, the answer is kept, and a crash is got over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.types import Receive, Scope, Send

from gateway.control.idempotency.model import IN_FLIGHT_S, KEPT_S
from gateway.control.idempotency.store import IdempotencyStore
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Leg, Movement, account
from gateway.control.limits import Limit
from gateway.control.route import Call, Route
from gateway.control.worker import process
from shared.errors import Conflict
from tests.support.api import until
from tests.support.control import Control, code_of, register
from tests.support.ledger import Books

Wait = Callable[[], Awaitable[None]]


class Tip(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So much for somebody."""

    amount: int
    to: str = "usr_2"


class Tipped(msgspec.Struct, frozen=True):
    """The movement it became."""

    txn: int


class Shop:
    """A value-writing route on the wiring of a real control. `midway` runs within its transaction."""

    def __init__(self, control: Control) -> None:
        self.control = control
        self.books = Books(control.wiring["pool"])
        self.midway: Wait = _nothing
        route = Route(
            "POST", "/v1/tips/{to}", self.send_tip, limit=Limit(10_000), status=201, tag="value", idempotent=True
        )
        wiring = control.wiring

        class WithWiring:
            def __init__(self, app: Starlette) -> None:
                self.app = app

            async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
                await self.app({**scope, "state": dict(wiring)}, receive, send)

        app = Starlette(routes=[route.starlette()], middleware=[Middleware(WithWiring)])
        self.http = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://usher.example")

    async def send_tip(self, call: Call[Tip]) -> Tipped:
        """Send a tip."""
        unit = await call.unit()
        legs = [
            Leg(account("wallet", call.principal.id), "USD", -call.body.amount),
            Leg(account("wallet", call.path("to")), "USD", call.body.amount),
        ]
        posted = await ledger.post(Movement(key=f"tip:{call.key}", kind="tip", legs=legs), ledger=unit.ledger)
        await self.midway()
        return Tipped(posted.txn)

    async def tip(
        self, amount: int = 5, *, to: str = "usr_2", key: str | None = "k1", browser: httpx2.AsyncClient | None = None
    ) -> httpx2.Response:
        """Send one as the person that is logged in in a browser."""
        cookies = (browser or self.control.http).cookies
        headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
        headers |= {"Idempotency-Key": key} if key is not None else {}
        return await self.http.post(f"/v1/tips/{to}", json={"amount": amount}, headers=headers)

    async def received(self) -> int:
        """What came in."""
        return (await self.books.balance("wallet:usr_2")).balance


async def _nothing() -> None:
    return None


@pytest.fixture
async def shop(control: Control) -> Shop:
    """A shop whose customer has 1000."""
    await register(control.http, "vera")
    made = Shop(control)
    principal = (await control.rows("select principal from account"))[0]["principal"]
    await made.books.fund(1000, f"wallet__{principal}")
    return made


async def test_request_without_a_key_or_with_a_wrong_one_has_no_effect(shop: Shop) -> None:
    assert code_of(await shop.tip(key=None)) == (422, "idempotency-key-missing")
    for key in ("a b", "x" * 201):
        assert code_of(await shop.tip(key=key)) == (422, "idempotency-key-wrong")
    assert await shop.received() == 0


async def test_same_request_again_gets_the_kept_answer(shop: Shop) -> None:
    first, again = await shop.tip(), await shop.tip()
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.content == again.content and first.headers["content-type"] == again.headers["content-type"]
    assert "idempotency-replayed" not in first.headers and again.headers["idempotency-replayed"] == "true"
    assert await shop.received() == 5


async def test_same_key_with_another_body_or_path_is_refused(shop: Shop) -> None:
    await shop.tip()
    assert code_of(await shop.tip(6)) == (422, "key-reused")
    assert code_of(await shop.tip(to="usr_3")) == (422, "key-reused")
    assert (await shop.tip(6, key="k2")).status_code == 201
    assert await shop.received() == 11


async def test_keys_of_two_people_are_two_keys(shop: Shop) -> None:
    await shop.tip()
    other = shop.control.browser()
    await register(other, "otto")
    assert code_of(await shop.tip(browser=other)) == (409, "insufficient")
    assert code_of(await shop.tip(browser=shop.control.browser())) == (401, "unauthenticated")


async def test_second_request_is_told_to_wait_while_the_first_is_not_answered(shop: Shop) -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        inside.set()
        await go.wait()

    shop.midway = wait
    first = asyncio.create_task(shop.tip())
    await asyncio.wait_for(inside.wait(), 60)
    assert code_of(await shop.tip()) == (409, "in-flight")
    assert code_of(await shop.tip(6)) == (422, "key-reused")
    go.set()
    assert (await first).status_code == 201
    assert (await shop.tip()).headers["idempotency-replayed"] == "true"
    assert await shop.received() == 5


async def test_of_many_clicks_at_once_one_has_its_effect(shop: Shop) -> None:
    async def click() -> httpx2.Response:
        while (answer := await shop.tip()).status_code == 503:  # no connection came free: click again
            pass
        return answer

    answers = await asyncio.gather(*(click() for _ in range(50)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert sum(answer.status_code == 201 and "idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert await shop.received() == 5


async def test_refusal_has_no_effect_and_frees_the_key(shop: Shop) -> None:
    assert code_of(await shop.tip(1001)) == (409, "insufficient")

    async def refuse() -> None:
        raise Conflict("not now")

    shop.midway = refuse
    assert code_of(await shop.tip()) == (409, "conflict")
    shop.midway = _nothing
    assert (await shop.tip()).status_code == 201
    assert await shop.received() == 5


async def test_request_that_loses_its_connection_has_no_effect_and_frees_the_key(shop: Shop) -> None:
    async def lose() -> None:
        await shop.control.rows(
            "select pg_terminate_backend(pid) from pg_stat_activity "
            "where datname = current_database() and state = 'idle in transaction'"
        )

    shop.midway = lose
    assert (await shop.tip()).status_code == 503
    assert await shop.received() == 0
    shop.midway = _nothing
    assert (await shop.tip()).status_code == 201
    assert await shop.received() == 5


async def test_process_that_dies_before_its_answer_leaves_a_key_that_is_free_after_a_minute(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def die() -> None:
        raise ConnectionError

    # Nobody is left to free the key.
    with monkeypatch.context() as dead:
        dead.setattr(IdempotencyStore, "release", lambda *_: die())
        shop.midway = die
        assert (await shop.tip()).status_code == 503
    shop.midway = _nothing
    assert code_of(await shop.tip()) == (409, "in-flight")
    shop.control.clock.advance(IN_FLIGHT_S + 1)
    assert code_of(await shop.tip(6)) == (422, "key-reused")
    assert (await shop.tip()).status_code == 201
    assert (await shop.tip()).headers["idempotency-replayed"] == "true"
    assert await shop.received() == 5


async def waiting(shop: Shop) -> bool | None:
    """True once somebody waits for a transaction to end."""
    asked = "select 1 from pg_stat_activity where wait_event = 'transactionid' and datname = current_database()"
    return bool(await shop.control.rows(asked)) or None


async def test_attempt_that_was_taken_for_dead_and_comes_back_has_no_effect(shop: Shop) -> None:
    inside, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        if not inside.is_set():
            inside.set()
            await go.wait()

    shop.midway = wait
    slow = asyncio.create_task(shop.tip())
    await asyncio.wait_for(inside.wait(), 60)
    shop.control.clock.advance(IN_FLIGHT_S + 1)
    quick = asyncio.create_task(shop.tip())
    await until(partial(waiting, shop), within_s=60, what="the second waits for the first")
    go.set()
    assert code_of(await slow) == (409, "in-flight")
    assert (await quick).status_code == 201
    assert await shop.received() == 5


async def test_answers_are_forgotten_after_a_week(shop: Shop) -> None:
    await shop.tip()
    await process.sweep(shop.control.wiring)
    assert len(await shop.control.rows("select 1 from idempotency")) == 1
    shop.control.clock.advance(KEPT_S + 1)
    await process.sweep(shop.control.wiring)
    assert await shop.control.rows("select 1 from idempotency") == []
