"""Payment providers under test, each with the hands of its payers, banks and sellers."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Protocol

from msgspec.structs import replace

from gateway.control.payments.providers.base import Order, Provider, Started, Tariff
from gateway.control.payments.providers.sandbox import Sandbox
from gateway.control.payments.providers.stripe import Stripe
from gateway.control.payments.providers.stripe_values import TOLERANCE_S
from gateway.control.sandbox import actions, model
from gateway.control.sandbox.model import Notice, Payment
from shared.clock import ManualClock
from shared.secrets import STRIPE_KEY, STRIPE_WEBHOOK
from tests.fakes.stripe_payments import APPROVED, DECLINED, SECURE
from tests.fakes.stripe_server import StripeServer, stripe_server
from tests.support.control import Control

#: A secret of webhooks, and the one before it.
SECRET, OLD_SECRET = "whsec_new", "whsec_old"
Webhook = tuple[dict[str, str], bytes]


class FixedSecrets:
    """Secrets that a test changes."""

    def __init__(self, **values: str) -> None:
        self.values = {name.replace("_", "-"): value for name, value in values.items()}

    def read(self, name: str) -> bytes:
        return self.values[name].encode()


class Hands(Protocol):
    """A provider, and what people do there."""

    provider: Provider

    async def pay(self, ref: str, card: str) -> None: ...
    async def answer(self, ref: str, *, passed: bool) -> None: ...
    async def dispute(self, ref: str, *, won: bool | None = None) -> None: ...
    async def webhooks(self) -> list[Webhook]: ...
    async def old_webhook(self) -> Webhook: ...
    def now(self, *, later_s: int = 0) -> datetime: ...


class StripeHands:
    """At the fake Stripe, by the real SDK."""

    provider: Stripe

    def __init__(self, server: StripeServer, provider: Stripe) -> None:
        self.server, self.provider = server, provider
        self._disputes: dict[str, str] = {}

    async def pay(self, ref: str, card: str) -> None:
        self.server.pay(ref, {"approve": APPROVED, "decline": DECLINED, "secure": SECURE}[card])

    async def answer(self, ref: str, *, passed: bool) -> None:
        self.server.authenticate(ref, passed=passed)

    async def dispute(self, ref: str, *, won: bool | None = None) -> None:
        if won is None:
            self._disputes[ref] = self.server.dispute(ref)
        else:
            self.server.close_dispute(self._disputes[ref], won=won)

    async def webhooks(self) -> list[Webhook]:
        return self.server.deliveries(SECRET, shuffled=random.Random(7))

    async def old_webhook(self) -> Webhook:
        return self.server.deliveries(SECRET, at=int(time.time()) - TOLERANCE_S - 1)[0]

    def now(self, *, later_s: int = 0) -> datetime:
        now_s = self.server.clock() + later_s
        self.server.clock = lambda: now_s
        return datetime.fromtimestamp(now_s, UTC)


class SandboxHands:
    """At the sandbox, on a real Postgres."""

    def __init__(self, control: Control) -> None:
        provider = control.wiring["providers"].named(model.NAME)
        assert isinstance(provider, Sandbox)
        self.provider, self._control = provider, control
        self._numbers = {card: number for number, card in model.CARDS.items()}

    async def pay(self, ref: str, card: str) -> None:
        now = self._control.clock.now()
        await self._change(ref, lambda payment: model.paid_with(payment, self._numbers[card], now))  # type: ignore[index]

    async def answer(self, ref: str, *, passed: bool) -> None:
        await self._change(ref, lambda payment: model.answered(payment, passed=passed))

    async def dispute(self, ref: str, *, won: bool | None = None) -> None:
        await self._change(ref, lambda payment: _disputed(payment, won))

    async def webhooks(self) -> list[Webhook]:
        sent: list[Webhook] = []

        async def send(notice: Notice) -> None:
            sent.append(self.provider.webhook(notice))

        await actions.deliver(send, begin=self._control.wiring["begin"], clock=self._control.clock)
        return sent * 2

    async def old_webhook(self) -> Webhook:
        sent = await self.webhooks()
        self._control.clock.advance(model.TOLERANCE_S + 1)
        return sent[0]

    def now(self, *, later_s: int = 0) -> datetime:
        self._control.clock.advance(later_s)
        return self._control.clock.now()

    async def _change(self, ref: str, how: Callable[[Payment], Payment]) -> None:
        async with self._control.wiring["begin"]() as unit:
            await actions.change(ref, how, sandbox=unit.sandbox, clock=self._control.clock)


def _disputed(payment: Payment, won: bool | None) -> Payment:
    """As time would have it: a dispute comes, and is won or lost."""
    due: model.Due = "dispute" if won is None else "win" if won else "lose"
    return model.matured(replace(payment, due=due), ManualClock().now())


@contextlib.asynccontextmanager
async def stripe_hands() -> AsyncIterator[StripeHands]:
    """A fake Stripe, and the provider on it."""
    async with stripe_server() as server:
        secrets = FixedSecrets(**{STRIPE_KEY: server.key, STRIPE_WEBHOOK: f"{SECRET}\n{OLD_SECRET}"})
        provider = Stripe(secrets, tariff=Tariff(290, {"USD": 30}), address=server.url)
        try:
            yield StripeHands(server, provider)
        finally:
            await provider.close()


def order(id: str = "pch_1", **others: object) -> Order:
    """An order of 12.50 USD."""
    values = {
        "id": id, "principal": "usr_1", "title": "ttl_1", "amount": 1250, "currency": "USD",
        "description": "A film & <more>", "return_url": f"https://usher.example/purchases/{id}",
    }  # fmt: skip
    return Order(**{**values, **others})  # type: ignore[arg-type]


def ref_of(started: Started) -> str:
    """The ref of a payment that waits for its payer."""
    assert (started.state, bool(started.url)) == ("redirect", True)
    return started.provider_ref
