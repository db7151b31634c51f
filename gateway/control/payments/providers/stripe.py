"""Stripe: Checkout Sessions, destination charges to sellers' accounts, refunds, disputes and onboarding.

A payment's `provider_ref` is its Checkout Session. What may be asked twice carries an idempotency key or looks first at
what is there, so nothing here takes or gives money twice, whatever was lost on the way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from typing import Any, TypeVar, cast

import aiohttp
import msgspec
import stripe
from stripe.params import TransferReversalCreateParams

from gateway.control.payments.providers.base import (
    Charge,
    Order,
    ProviderEvent,
    Quote,
    SellerAccount,
    Started,
    Tariff,
    parse_tariff,
)
from gateway.control.payments.providers.open import Parts
from gateway.control.payments.providers.stripe_values import (
    NAME,
    Account,
    Dispute,
    Session,
    charge_of,
    checked,
    error_of,
    events_of,
    intent_of,
    is_kept_failure,
    refund_params,
    session_params,
    transfer_of,
)
from shared import log
from shared.errors import Conflict, Invalid, KeyReused, NotFound, ProviderUnavailable, UsherError
from shared.metrics import PROVIDER_FAILURES
from shared.secrets import STRIPE_KEY, STRIPE_WEBHOOK, Secrets

#: One request, and all tries of one call together. The SDK tries again once, with the same idempotency key.
REQUEST_S, CALL_S = 8.0, 15.0
RETRIES = 1
#: Keys for one thing, used one after another where Stripe kept a failure with the one before.
TRIES = 3
CHARGE = "payment_intent.latest_charge"
PAYMENT = [f"{CHARGE}.balance_transaction", f"{CHARGE}.transfer"]
#: Refunds and disputes of one payment, and reversals of one transfer, that are looked through.
MOST = 100

Found = TypeVar("Found", bound=stripe.StripeObject)
Back = TypeVar("Back", stripe.Refund, stripe.TransferReversal)
Struct = TypeVar("Struct", bound=msgspec.Struct)


class Stripe:
    """Pays by Stripe. `secrets` gives the API key, and the webhook secrets: one, or two while they are changed."""

    name = NAME

    def __init__(self, secrets: Secrets, *, tariff: Tariff, descriptor: str = "", address: str = "") -> None:
        self._secrets, self._tariff, self._descriptor, self._address = secrets, tariff, descriptor, address
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=REQUEST_S))
        self._key = secrets.read(STRIPE_KEY).decode()
        self._made = self._make(self._key)

    async def close(self) -> None:
        """Close its connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    def quote(self, amount: int, currency: str) -> Quote:
        """What Stripe's price list says of a card payment; a card from elsewhere may cost more."""
        return self._tariff.quote(amount, currency)

    async def start(self, order: Order) -> Started:
        """A page of Stripe's on which the payer pays. For a day the same order leads to the same page."""
        params = session_params(checked(order), descriptor=self._descriptor)
        made = await self._once(
            f"start:{order.id}",
            lambda client, key: client.v1.checkout.sessions.create_async(params, {"idempotency_key": key}),
        )
        return Started(state="redirect", provider_ref=made.id, url=made.url or "")

    async def find(self, ref: str) -> Charge:
        """The payment of a session or a PaymentIntent."""
        session = await self._session(ref)
        intent = session.payment_intent
        if intent is None or intent.latest_charge is None or not intent.latest_charge.disputed:
            return charge_of(session)
        about = intent.id
        found = await self._ask(lambda client: client.v1.disputes.list_async({"payment_intent": about, "limit": MOST}))
        return charge_of(session, [_struct(one, Dispute) for one in found.data])

    async def capture(self, ref: str) -> Charge:
        """Take what was set aside. Stripe captures a payment once."""
        session, charge = await self._now(ref)
        if charge.state == "paid":
            return charge
        if charge.state != "authorized":
            raise Conflict("Nothing is set aside on this payment.", state=charge.state)
        intent = intent_of(session).id
        with _meanwhile():
            await self._ask(lambda client: client.v1.payment_intents.capture_async(intent))
        return await self.find(session.id)

    async def void(self, ref: str) -> Charge:
        """Close a session that is open, or let go of what it set aside."""
        session, charge = await self._now(ref)
        if charge.state in ("voided", "declined"):
            return charge
        if charge.state == "paid":
            raise Conflict("The payment is made; refund it.", state=charge.state)
        with _meanwhile():
            if charge.state == "open":
                await self._ask(lambda client: client.v1.checkout.sessions.expire_async(session.id))
            else:
                intent = intent_of(session).id
                await self._ask(lambda client: client.v1.payment_intents.cancel_async(intent))
        return await self.find(session.id)

    async def refund(self, ref: str, amount: int, key: str) -> Charge:
        """Give back. What went to a seller's account comes back from there, and the platform's fee with it."""
        if amount <= 0:
            raise Invalid("A refund has an amount above zero.", code="bad-amount")
        session, charge = await self._now(ref)
        if charge.state != "paid":
            raise Conflict("The payment is not made.", state=charge.state)
        if await self._refunded(session, amount, key) is None:
            if amount > charge.amount - charge.refunded:
                raise Conflict("Less than that is left of the payment.", code="refund-too-large")
            params = refund_params(session, amount, key)
            with _meanwhile():
                await self._once(
                    f"refund:{key}",
                    lambda client, own: client.v1.refunds.create_async(params, {"idempotency_key": own}),
                    done=lambda: self._refunded(session, amount, key),
                )
        return await self.find(session.id)

    def events(self, headers: Mapping[str, str], body: bytes) -> list[ProviderEvent]:
        """What a webhook tells."""
        return events_of(headers, body, self._secrets.read(STRIPE_WEBHOOK).decode().split())

    async def open_account(self, seller: str, country: str) -> str:
        """An account with Stripe's own small dashboard; Stripe asks for what it must know, and bears no losses."""
        made = await self._once(
            f"account:{seller}",
            lambda client, key: client.v1.accounts.create_async(
                {
                    "country": country,
                    "metadata": {"seller": seller},
                    "controller": {
                        "stripe_dashboard": {"type": "express"},
                        "fees": {"payer": "application"},
                        "losses": {"payments": "application"},
                    },
                    "capabilities": {"transfers": {"requested": True}, "card_payments": {"requested": True}},
                },
                {"idempotency_key": key},
            ),
        )
        return made.id

    async def onboarding_url(self, account: str, *, return_url: str, refresh_url: str) -> str:
        """Stripe's page for a seller; each call makes a link of its own."""
        made = await self._ask(
            lambda client: client.v1.account_links.create_async(
                {
                    "account": account,
                    "type": "account_onboarding",
                    "return_url": return_url,
                    "refresh_url": refresh_url,
                }
            )
        )
        return made.url

    async def account(self, ref: str) -> SellerAccount:
        """The account as it is now."""
        found = _struct(await self._ask(lambda client: client.v1.accounts.retrieve_async(ref)), Account)
        due = (found.requirements or {}).get("currently_due") or []
        return SellerAccount(found.id, found.charges_enabled, found.payouts_enabled, tuple(due))

    async def take_back(self, ref: str, amount: int, key: str) -> None:
        """Reverse the transfer to the seller's account. Stripe refuses where the account holds less."""
        transfer = transfer_of(await self._session(ref)).id
        if await self._reversed(transfer, amount, key) is not None:
            return
        params: TransferReversalCreateParams = {"amount": amount, "metadata": {"key": key}}
        with _meanwhile():
            await self._once(
                f"reverse:{key}",
                lambda client, own: client.v1.transfers.reversals.create_async(
                    transfer, params, {"idempotency_key": own}
                ),
                done=lambda: self._reversed(transfer, amount, key),
            )

    async def _now(self, ref: str) -> tuple[Session, Charge]:
        session = await self._session(ref)
        return session, charge_of(session)

    async def _session(self, ref: str) -> Session:
        if not ref.startswith("pi_"):
            one = await self._ask(lambda client: client.v1.checkout.sessions.retrieve_async(ref, {"expand": PAYMENT}))
            return _struct(one, Session)
        found = await self._ask(
            lambda client: client.v1.checkout.sessions.list_async(
                {"payment_intent": ref, "limit": 1, "expand": [f"data.{path}" for path in PAYMENT]}
            )
        )
        if not found.data:
            raise NotFound("This payment was not begun here.")
        return _struct(found.data[0], Session)

    async def _refunded(self, session: Session, amount: int, key: str) -> stripe.Refund | None:
        """This refund, where it was made before. Raises KeyReused when that was another amount."""
        intent = intent_of(session).id
        found = await self._ask(lambda client: client.v1.refunds.list_async({"payment_intent": intent, "limit": MOST}))
        return _known(found.data, amount, key)

    async def _reversed(self, transfer: str, amount: int, key: str) -> stripe.TransferReversal | None:
        """The same of what was taken back from a seller's account."""
        found = await self._ask(lambda client: client.v1.transfers.reversals.list_async(transfer, {"limit": MOST}))
        return _known(found.data, amount, key)

    async def _once(
        self,
        key: str,
        send: Callable[[stripe.StripeClient, str], Awaitable[Found]],
        *,
        done: Callable[[], Awaitable[Found | None]] | None = None,
    ) -> Found:
        """Send with an idempotency key.

        Stripe keeps a failure of its own with the key for a day. Then the thing is asked for under another key, unless
        `done` finds that it happened after all.
        """
        for own in (key, *(f"{key}:{n}" for n in range(2, TRIES + 1))):
            try:
                return await self._ask(lambda client, own=own: send(client, own))  # type: ignore[misc]
            except _KeptFailure:
                if done is not None and (found := await done()) is not None:
                    return found
        raise ProviderUnavailable()

    async def _ask(self, ask: Callable[[stripe.StripeClient], Awaitable[Found]]) -> Found:
        """Ask Stripe, within a deadline. fails="closed", counted: without an answer nothing is taken for done."""
        try:
            async with asyncio.timeout(CALL_S):
                return await ask(self._client())
        except stripe.StripeError as error:
            raise self._failed(error) from error
        except (TimeoutError, aiohttp.ClientError) as error:  # the SDK reads bodies outside what it translates
            PROVIDER_FAILURES.labels(NAME).inc()
            raise ProviderUnavailable() from error

    def _failed(self, error: stripe.StripeError) -> UsherError:
        found = error_of(error)
        if isinstance(found, ProviderUnavailable | Invalid):
            PROVIDER_FAILURES.labels(NAME).inc()
            log.get("payments").warning("provider failed", provider=NAME, status=error.http_status, code=error.code)
        return _KeptFailure() if is_kept_failure(error) else found

    def _client(self) -> stripe.StripeClient:
        """The client of the key as it is now: a key that is changed is used from the next call on."""
        key = self._secrets.read(STRIPE_KEY).decode()
        if key != self._key:
            self._key, self._made = key, self._make(key)
        return self._made

    def _make(self, key: str) -> stripe.StripeClient:
        addresses: dict[str, str] = {"api": self._address} if self._address else {}
        return stripe.StripeClient(
            key, base_addresses=cast(Any, addresses), http_client=self._http, max_network_retries=RETRIES
        )


def _known(found: Sequence[Back], amount: int, key: str) -> Back | None:
    """What was given or taken back under a key of ours. Raises KeyReused when that was another amount."""
    known = next((one for one in found if (one.to_dict()["metadata"] or {}).get("key") == key), None)
    if known is not None and known.amount != amount:
        raise KeyReused("This was given back before, in another amount.")
    return known


class _KeptFailure(ProviderUnavailable):
    """The provider failed, and keeps that as its answer to this idempotency key."""


async def open_provider(stack: AsyncExitStack, parts: Parts) -> Stripe:
    """Stripe as the settings say. Raises Misconfigured without its secrets."""
    # The SDK's telemetry writes a file into the home folder and tells Stripe about this machine.
    stripe.enable_telemetry = False
    settings, secrets = parts.settings, parts.secrets
    secrets.read(STRIPE_WEBHOOK)
    tariff = parse_tariff(settings.stripe_fee)
    made = Stripe(secrets, tariff=tariff, descriptor=settings.payment_descriptor, address=settings.stripe_api)
    stack.push_async_callback(made.close)
    return made


@contextmanager
def _meanwhile() -> Iterator[None]:
    """What fitted the payment a moment ago and is refused now: somebody else was quicker."""
    try:
        yield
    except KeyReused:
        raise
    except Invalid as error:
        raise Conflict(str(error)) from error


def _struct(found: stripe.StripeObject, kind: type[Struct]) -> Struct:
    return msgspec.convert(found.to_dict(for_json=True), kind)
