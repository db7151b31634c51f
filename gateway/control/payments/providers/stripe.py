"""Stripe: Checkout Sessions, destination charges to sellers' accounts, refunds, disputes and onboarding.

A payment's `provider_ref` is its Checkout Session. What may be asked twice carries an idempotency key or looks first at
what is there, so nothing here takes or gives money twice, whatever was lost on the way.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from typing import TypeVar

import msgspec
import stripe
from stripe.params import TransferReversalCreateParams

from gateway.control.payments.providers.base import (
    SELLER_SHORT,
    Charge,
    Listed,
    Order,
    PaidOut,
    Payout,
    ProviderEvent,
    Quote,
    SellerAccount,
    Started,
    Tariff,
    parse_tariff,
)
from gateway.control.payments.providers.open import Parts
from gateway.control.payments.providers.stripe_client import Client
from gateway.control.payments.providers.stripe_lists import (
    TOO_LOW,
    About,
    Sent,
    Stray,
    listed_of,
    paid_out_of,
    payout_params,
    period,
    stray_of,
)
from gateway.control.payments.providers.stripe_values import (
    NAME,
    SHORT,
    Account,
    Dispute,
    Session,
    charge_of,
    checked,
    events_of,
    intent_of,
    of_seller_now,
    refund_params,
    session_params,
    transfer_of,
)
from shared.errors import Conflict, Invalid, KeyReused, NotFound, ProviderUnavailable
from shared.secrets import STRIPE_WEBHOOK, Secrets

CHARGE = "payment_intent.latest_charge"
PAYMENT = [f"{CHARGE}.{name}" for name in ("balance_transaction", "transfer", "application_fee")]
#: Refunds and disputes of one payment, and reversals of one transfer, that are looked through.
MOST = 100

Back = TypeVar("Back", stripe.Refund, stripe.TransferReversal)
Struct = TypeVar("Struct", bound=msgspec.Struct)


class Stripe(Client):
    """Pays by Stripe. `secrets` gives the API key, and the webhook secrets: one, or two while they are changed."""

    name = NAME

    def __init__(self, secrets: Secrets, *, tariff: Tariff, descriptor: str = "", address: str = "") -> None:
        super().__init__(secrets, address=address)
        self._tariff, self._descriptor = tariff, descriptor

    def quote(self, amount: int, currency: str) -> Quote:
        """What Stripe's price list says of a card payment; a card from elsewhere may cost more."""
        return self._tariff.quote(amount, currency)

    async def start(self, order: Order) -> Started:
        """A page of Stripe's on which the payer pays. For a day the same order leads to the same page."""
        params = session_params(checked(order), descriptor=self._descriptor)
        made = await self.once(
            f"start:{order.id}",
            lambda client, key: client.v1.checkout.sessions.create_async(params, {"idempotency_key": key}),
        )
        return Started(state="redirect", provider_ref=made.id, url=made.url or "")

    async def find(self, ref: str) -> Charge:
        """The payment of a session or a PaymentIntent."""
        return (await self._whole(await self._session(ref))).charge

    async def capture(self, ref: str) -> Charge:
        """Take what was set aside. Stripe captures a payment once."""
        session, charge = await self._now(ref)
        if charge.state == "paid":
            return charge
        if charge.state != "authorized":
            raise Conflict("Nothing is set aside on this payment.", state=charge.state)
        intent = intent_of(session).id
        with _meanwhile():
            await self.ask(lambda client: client.v1.payment_intents.capture_async(intent))
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
                await self.ask(lambda client: client.v1.checkout.sessions.expire_async(session.id))
            else:
                intent = intent_of(session).id
                await self.ask(lambda client: client.v1.payment_intents.cancel_async(intent))
        return await self.find(session.id)

    async def refund(self, ref: str, amount: int, key: str, *, of_seller: int | None = None) -> Charge:
        """Give back. What went to a seller's account comes back from there first, or with it and the platform's fee."""
        if amount <= 0:
            raise Invalid("A refund has an amount above zero.", code="bad-amount")
        session, charge = await self._now(ref)
        if charge.state != "paid":
            raise Conflict("The payment is not made.", state=charge.state)
        if await self._refunded(session, amount, key) is None:
            if amount > charge.amount - charge.refunded:
                raise Conflict("Less than that is left of the payment.", code="refund-too-large")
            # A try that broke off may have taken that already, and changed by it which way fits.
            if (begun := await self._taken(session, key)) is None:
                begun = of_seller_now(session, amount, of_seller)
            await self._refund(session, amount, key, of_seller=begun)
        return await self.find(session.id)

    async def _refund(self, session: Session, amount: int, key: str, *, of_seller: int | None) -> None:
        """Give back, having taken `of_seller` from the seller's account; None where Stripe takes it in proportion."""
        params = refund_params(session, amount, key, in_proportion=of_seller is None)
        try:
            if of_seller:
                await self.take_back(session.id, of_seller, key)
        except Conflict as error:
            raise Conflict("The seller's account holds less than that.", code=SELLER_SHORT) from error
        try:
            with _meanwhile():
                await self.once(
                    f"refund:{key}" if of_seller is None else f"refund:{key}:{of_seller}",
                    lambda client, own: client.v1.refunds.create_async(params, {"idempotency_key": own}),
                    done=lambda: self._refunded(session, amount, key),
                )
        except Conflict as error:
            if error.details.get("reason") not in SHORT:
                raise
            if of_seller is None:
                raise Conflict("The seller's account holds less than that.", code=SELLER_SHORT) from error
            raise ProviderUnavailable("The platform's balance there is too low for this.") from error

    async def listed(self, since: datetime, until: datetime) -> AsyncIterator[Listed]:
        """Sessions begun in the period, then what was charged, given back or disputed in it of any others."""
        made, seen = period(since, until), set[str]()
        paths = [f"data.{path}" for path in PAYMENT]
        async for one in self.pages(lambda client, page: client.v1.checkout.sessions.list_async(page), made, paths):
            session = _struct(one, Session)
            seen |= {session.payment_intent.id} if session.payment_intent else set()
            yield await self._whole(session)
        for found in (
            self.pages(lambda client, page: client.v1.charges.list_async(page), made, ["data.balance_transaction"]),
            self.pages(lambda client, page: client.v1.refunds.list_async(page), made),
            self.pages(lambda client, page: client.v1.disputes.list_async(page), made),
        ):
            async for one in found:
                about = _struct(one, About)
                if about.payment_intent in seen:
                    continue
                try:
                    session = await self._session(about.payment_intent or "pi_")
                except NotFound:
                    if about.captured:
                        yield stray_of(_struct(one, Stray))
                    continue
                seen.add(about.payment_intent or "")
                yield await self._whole(session)

    async def pay_out(self, payout: Payout) -> PaidOut:
        """A transfer to the seller's account, unless there is one for this withdrawal."""
        if (known := await self.payout(payout.id)) is not None:
            return known
        params = payout_params(payout)
        try:
            sent = await self.once(
                f"payout:{payout.id}:{payout.attempt}",
                lambda client, key: client.v1.transfers.create_async(params, {"idempotency_key": key}),
                done=lambda: self._sent(payout.id),
            )
        except Invalid as error:
            if error.details.get("reason") != TOO_LOW:
                raise
            raise Conflict("The platform's balance there is too low.", code="balance-too-low") from error
        found = paid_out_of(_struct(sent, Sent))
        return found or PaidOut(id=payout.id, rail_ref=sent.id, amount=payout.amount, currency=payout.currency)

    async def payout(self, id: str) -> PaidOut | None:
        """The transfer of a withdrawal."""
        sent = await self._sent(id)
        return paid_out_of(_struct(sent, Sent)) if sent else None

    async def payouts(self, since: datetime, until: datetime) -> AsyncIterator[PaidOut]:
        """Transfers for withdrawals."""
        made = period(since, until)
        async for one in self.pages(lambda client, page: client.v1.transfers.list_async(page), made):
            if (found := paid_out_of(_struct(one, Sent))) is not None:
                yield found

    def events(self, headers: Mapping[str, str], body: bytes) -> list[ProviderEvent]:
        """What a webhook tells."""
        return events_of(headers, body, self._secrets.read(STRIPE_WEBHOOK).decode().split())

    async def open_account(self, seller: str, country: str) -> str:
        """An account with Stripe's own small dashboard; Stripe asks for what it must know, and bears no losses."""
        made = await self.once(
            f"account:{seller}:{country}",  # one that Stripe does not serve is refused by this key for a day
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
        made = await self.ask(
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
        found = _struct(await self.ask(lambda client: client.v1.accounts.retrieve_async(ref)), Account)
        due = (found.requirements or {}).get("currently_due") or []
        return SellerAccount(found.id, found.charges_enabled, found.payouts_enabled, tuple(due))

    async def take_back(self, ref: str, amount: int, key: str) -> None:
        """Reverse the transfer to the seller's account. Stripe refuses where the account holds less."""
        transfer = transfer_of(await self._session(ref)).id
        if await self._reversed(transfer, amount, key) is not None:
            return
        params: TransferReversalCreateParams = {"amount": amount, "metadata": {"key": key}}
        with _meanwhile():
            await self.once(
                f"reverse:{key}",
                lambda client, own: client.v1.transfers.reversals.create_async(
                    transfer, params, {"idempotency_key": own}
                ),
                done=lambda: self._reversed(transfer, amount, key),
            )

    async def _whole(self, session: Session) -> Listed:
        """A payment with its disputes."""
        intent = session.payment_intent
        if intent is None or intent.latest_charge is None or not intent.latest_charge.disputed:
            return listed_of(session)
        about = intent.id
        found = await self.ask(lambda client: client.v1.disputes.list_async({"payment_intent": about, "limit": MOST}))
        return listed_of(session, [_struct(one, Dispute) for one in found.data])

    async def _now(self, ref: str) -> tuple[Session, Charge]:
        session = await self._session(ref)
        return session, charge_of(session)

    async def _session(self, ref: str) -> Session:
        if not ref.startswith("pi_"):
            one = await self.ask(lambda client: client.v1.checkout.sessions.retrieve_async(ref, {"expand": PAYMENT}))
            return _struct(one, Session)
        found = await self.ask(
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
        found = await self.ask(lambda client: client.v1.refunds.list_async({"payment_intent": intent, "limit": MOST}))
        return _known(found.data, amount, key)

    async def _sent(self, withdrawal: str) -> stripe.Transfer | None:
        """The transfer of a withdrawal, where it was made before."""
        found = await self.ask(
            lambda client: client.v1.transfers.list_async({"transfer_group": withdrawal, "limit": 1})
        )
        return found.data[0] if found.data else None

    async def _reversed(self, transfer: str, amount: int, key: str) -> stripe.TransferReversal | None:
        """The same of what was taken back from a seller's account."""
        return _known(await self._reversals(transfer), amount, key)

    async def _taken(self, session: Session, key: str) -> int | None:
        """What was taken back under a key of ours from the seller's account; None where nothing was."""
        charge = intent_of(session).latest_charge
        if charge is None or charge.transfer is None or not charge.transfer.amount_reversed:
            return None
        known = _under(await self._reversals(charge.transfer.id), key)
        return known.amount if known else None

    async def _reversals(self, transfer: str) -> Sequence[stripe.TransferReversal]:
        found = await self.ask(lambda client: client.v1.transfers.reversals.list_async(transfer, {"limit": MOST}))
        return found.data


def _under(found: Sequence[Back], key: str) -> Back | None:
    """What was given or taken back under a key of ours."""
    return next((one for one in found if (one.to_dict()["metadata"] or {}).get("key") == key), None)


def _known(found: Sequence[Back], amount: int, key: str) -> Back | None:
    """The same. Raises KeyReused when that was another amount."""
    known = _under(found, key)
    if known is not None and known.amount != amount:
        raise KeyReused("This was given back before, in another amount.")
    return known


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
        raise Conflict(str(error), reason=error.details.get("reason")) from error


def _struct(found: stripe.StripeObject, kind: type[Struct]) -> Struct:
    return msgspec.convert(found.to_dict(for_json=True), kind)
