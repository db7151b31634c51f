"""The sandbox as a provider: payers pay on a page of control's with test cards, and nobody is charged."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime

from gateway.control.db import Begin
from gateway.control.payments.providers.base import Charge, Listed, Order, ProviderEvent, Quote, Started
from gateway.control.payments.providers.open import Parts
from gateway.control.sandbox import actions, model
from gateway.control.sandbox.model import NAME, SIGNATURE, TARIFF, Notice, Payment, Refund
from shared.clock import Clock
from shared.secrets import SESSION_HMAC, Secrets


class Sandbox:
    """Pays by test cards. Each call is a transaction of its own on our database."""

    name = NAME

    def __init__(self, begin: Begin[actions.Stores], secrets: Secrets, *, clock: Clock, origin: str) -> None:
        self._begin, self._secrets, self._clock, self._origin = begin, secrets, clock, origin.rstrip("/")

    def quote(self, amount: int, currency: str) -> Quote:
        """As card companies do."""
        return TARIFF.quote(amount, currency)

    async def start(self, order: Order) -> Started:
        """The pay page of the order."""
        async with self._begin() as unit:
            payment = await actions.start(order, sandbox=unit.sandbox, clock=self._clock)
        return Started(state="redirect", provider_ref=payment.ref, url=f"{self._origin}/sandbox/{payment.ref}")

    async def find(self, ref: str) -> Charge:
        """The payment as it is now."""
        async with self._begin() as unit:
            return (await actions.find(ref, sandbox=unit.sandbox)).charge

    async def capture(self, ref: str) -> Charge:
        """Take what was set aside."""
        return await self._change(ref, model.captured)

    async def void(self, ref: str) -> Charge:
        """Close the page, or let go of what was set aside."""
        return await self._change(ref, model.voided)

    async def refund(self, ref: str, amount: int, key: str, *, of_seller: int | None = None) -> Charge:
        """Give back, once per key; sellers have no accounts here."""
        async with self._begin() as unit:
            refund = Refund(key, ref, amount)
            return (await actions.refund(refund, sandbox=unit.sandbox, clock=self._clock)).charge

    async def listed(self, since: datetime, until: datetime) -> AsyncIterator[Listed]:
        """Page by page, each in a transaction of its own."""
        after: str | None = ""
        while after is not None:
            async with self._begin() as unit:
                found = await actions.listed(since, until, after=after, sandbox=unit.sandbox)
            for payment in found:
                yield Listed(charge=payment.charge)
            after = found[-1].ref if found else None

    def events(self, headers: Mapping[str, str], body: bytes) -> list[ProviderEvent]:
        """The payment that changed."""
        header = headers.get(SIGNATURE, "")
        notice = model.notice_of(header, body, key=self._key(), now_s=self._clock.epoch())
        return [
            ProviderEvent(source=NAME, event_id=notice.id, kind="charge", provider_ref=notice.ref, at=notice.at),
        ]

    def webhook(self, notice: Notice) -> tuple[dict[str, str], bytes]:
        """Headers and body of the webhook that tells of a change."""
        body = model.body_of(notice)
        return model.sign(body, self._key(), int(self._clock.epoch())), body

    async def _change(self, ref: str, how: Callable[[Payment], Payment]) -> Charge:
        async with self._begin() as unit:
            return (await actions.change(ref, how, sandbox=unit.sandbox, clock=self._clock)).charge

    def _key(self) -> bytes:
        """A key of its own, drawn from that of the logins: there is nothing to set up."""
        return hmac.new(self._secrets.read(SESSION_HMAC), b"sandbox webhooks", hashlib.sha256).digest()


async def open_provider(stack: AsyncExitStack, parts: Parts) -> Sandbox:
    """The sandbox, whose pages are control's own."""
    return Sandbox(parts.begin, parts.secrets, clock=parts.clock, origin=parts.settings.public_origin)
