"""A control plane with a fake Stripe, whose webhooks are sent and handled when a test says so."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from msgspec.structs import replace

from gateway.control.payments import actions
from gateway.control.payments.providers.base import Charge
from gateway.control.payments.providers.stripe import Stripe
from shared.clock import ManualClock
from shared.secrets import STRIPE_KEY, STRIPE_WEBHOOK, FolderSecrets
from shared.settings import ControlSettings
from tests.fakes.stripe_server import StripeServer, stripe_server
from tests.support.control import Control, running_control
from tests.support.providers import OLD_SECRET, SECRET, StripeHands, Webhook, order

DOOR = "/v1/webhooks/stripe"


class Till:
    """A control plane with Stripe, and what was booked there: all totals of a payment, as they were told."""

    def __init__(self, control: Control, server: StripeServer) -> None:
        provider = control.wiring["providers"].named("stripe")
        assert isinstance(provider, Stripe)
        self.control, self.hands = control, StripeHands(server, provider)
        self.booked: list[Charge] = []
        self.broken: list[Exception] = []

    async def book(self, source: str, charge: Charge, unit: actions.Stores) -> None:
        """Keep what is to be booked, unless it is to fail."""
        if self.broken:
            raise self.broken.pop()
        self.booked.append(charge)

    async def send(self, webhook: Webhook) -> int:
        """One webhook by HTTP; the status of the answer."""
        headers, body = webhook
        return (await self.control.http.post(DOOR, content=body, headers=headers)).status_code

    async def work(self, times: int = 1000, *, settle: actions.Settle[Any] | None = None) -> int:
        """Handle events until none waits, or so many; how many were handled."""
        for done in range(times):
            wiring = self.control.wiring
            if not await actions.handle(
                wiring["providers"], begin=wiring["begin"], clock=wiring["clock"], settle=[settle or self.book]
            ):
                return done
        return times

    async def kept(self) -> int:
        """Events that are kept."""
        return int((await self.control.rows("select count(*) as n from provider_event"))[0]["n"])

    async def known(self, ref: str) -> Charge | None:
        """The payment as it was last booked."""
        async with self.control.wiring["begin"]() as unit:
            return await unit.providers.charge("stripe", ref)

    async def paid(self, id: str = "pch_1") -> str:
        """The ref of a payment that was made."""
        ref = (await self.hands.provider.start(order(id))).provider_ref
        await self.hands.pay(ref, "approve")
        return ref

    async def hear(self) -> None:
        """Send all webhooks and handle them."""
        for one in await self.hands.webhooks():
            assert await self.send(one) == 204
        await self.work()


def with_stripe(settings: ControlSettings, server: StripeServer) -> ControlSettings:
    """Settings of a control plane that is paid by this Stripe, too; writes its secrets."""
    secrets = FolderSecrets(settings.secrets_dir, {})
    secrets.write(STRIPE_KEY, server.key.encode())
    secrets.write(STRIPE_WEBHOOK, f"{SECRET}\n{OLD_SECRET}".encode())
    return replace(settings, payments="stripe sandbox", stripe_api=server.url)


@contextlib.asynccontextmanager
async def open_till(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Till]:
    """Control, and Stripe beside it."""
    async with stripe_server() as server, running_control(with_stripe(settings, server), clock) as control:
        yield Till(control, server)
