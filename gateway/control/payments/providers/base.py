"""What a payment provider is: orders, charges and events as values, the protocol, and which one serves whom.

Amounts are integers of the currency's smallest unit. The errors are those of `shared/errors.py`: `Declined` (the
payer's bank refuses), `ProviderUnavailable` (no answer, or "later": what was asked may have happened, so it is asked
again with the same order or key, or looked at by `find`) and `BadWebhook` (not signed by the provider, or too old).
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol, runtime_checkable

import msgspec

from shared.errors import Invalid, Misconfigured

#: A seller's account does not hold what is to be taken from it.
SELLER_SHORT = "seller-short"
_TARIFF = re.compile(r"(\d{1,5})((?: [A-Z]{3,5}:\d{1,9})*)\Z")
_RAIL = re.compile(r"([a-z0-9_]+)(?:@([A-Za-z0-9_-]+))?(?::([A-Z]{2}(?:,[A-Z]{2})*))?(?:/([A-Z]{3}(?:,[A-Z]{3})*))?\Z")


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be paid. `id` is the purchase: a second start with it is the first one again.

    Of the amount `fee_amount` stays with the platform and the rest goes to `seller_account`, the seller's account at
    the provider; without one all of it is the platform's, to be paid out later. `hold`: set aside until `capture`.
    """

    id: str
    principal: str
    title: str
    amount: int
    currency: str
    description: str
    return_url: str
    seller_account: str = ""
    fee_amount: int = 0
    hold: bool = False


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a start. `redirect`: the payer goes on at `url`; `words` tell a payer why a card was declined."""

    state: Literal["redirect", "authorized", "paid", "declined"]
    provider_ref: str
    url: str = ""
    words: str = ""


#: `open`: the payer is not done. `declined` and `voided` are final: nothing was taken, nothing will be.
ChargeState = Literal["open", "authorized", "paid", "declined", "voided"]


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A payment as the provider has it now: all that is to be booked follows from this, in whatever order events came.

    `amount` was paid, or is set aside. `fee` is what the provider keeps of it, 0 while not known; it is counted in
    `fee_currency`, which is another one where the provider changes money before it takes its fee.
    `refunded` and `disputed` are running totals of what was taken back since, by us and by the payer's bank; a dispute
    that is won takes its amount off again. `lost`: what of that is decided for good. `reversed`: what came back from
    the seller's own account there. `order` is the order's id.
    """

    provider_ref: str
    order: str
    state: ChargeState
    amount: int
    currency: str
    fee: int = 0
    fee_currency: str = ""
    refunded: int = 0
    disputed: int = 0
    lost: int = 0
    reversed: int = 0
    words: str = ""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in a provider's own list. `passed_on`: what of it went to the seller's own account at once, whatever
    came back from there since.
    """

    charge: Charge
    passed_on: int = 0


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to `provider_ref`: a hint to `find` it (`charge`) or to look at it (`account`), no more."""

    source: str
    event_id: str
    kind: Literal["charge", "account"]
    provider_ref: str
    at: datetime


class Quote(msgspec.Struct, frozen=True):
    """What is left of a price once the provider took its own fee, as far as that can be said before."""

    amount: int
    fee: int
    currency: str

    @property
    def net(self) -> int:
        """What is left; below zero for a price that costs more to collect than it brings."""
        return self.amount - self.fee


class Tariff(msgspec.Struct, frozen=True):
    """A provider's price list: basis points of a payment and a fixed part by currency."""

    bp: int
    fixed: Mapping[str, int] = {}

    def quote(self, amount: int, currency: str) -> Quote:
        """What is left of a price, the fee rounded up."""
        return Quote(amount, -(-amount * self.bp // 10_000) + self.fixed.get(currency, 0), currency)


def parse_tariff(text: str) -> Tariff:
    """`"290 USD:30 EUR:25"`: 2.9 % and 0.30 USD or 0.25 EUR. Raises Misconfigured for another form."""
    found = _TARIFF.match(text)
    if not found:
        raise Misconfigured(f"{text!r} is no price list; expected basis points and fixed parts: 290 USD:30 EUR:25.")
    fixed = (part.split(":") for part in found[2].split())
    return Tariff(int(found[1]), {currency: int(amount) for currency, amount in fixed})


class Provider(Protocol):
    """One way to pay. All but `quote` and `events` ask the provider, with a deadline, and raise ProviderUnavailable."""

    @property
    def name(self) -> str:
        """As in `enabled`, in `provider_event.source` and in account codes `cash:<name>`."""
        ...

    def quote(self, amount: int, currency: str) -> Quote:
        """What the provider would keep of a payment."""
        ...

    async def start(self, order: Order) -> Started:
        """Begin a payment, once per order id. Raises Invalid (an amount or currency it does not take), KeyReused."""
        ...

    async def find(self, ref: str) -> Charge:
        """The payment of a `provider_ref`, of an event or of `start`, asked for anew. Raises NotFound."""
        ...

    async def capture(self, ref: str) -> Charge:
        """Take what was set aside; as it is when that was done before. Raises Declined, Conflict, NotFound."""
        ...

    async def void(self, ref: str) -> Charge:
        """Let go of what is open or set aside; as it is when it was. Raises Conflict when paid, NotFound."""
        ...

    async def refund(self, ref: str, amount: int, key: str, *, of_seller: int | None = None) -> Charge:
        """Give back so much, once per key, and take `of_seller` of it from the seller's own account there.

        Where that is None: their part in proportion, of what is left of it. Raises Invalid, KeyReused, NotFound,
        Conflict when it was not paid or less than that is left, and with code `seller-short`, having given nothing
        back, when the seller's account does not hold so much: ask again for none of it.
        """
        ...

    def listed(self, since: datetime, until: datetime) -> AsyncIterator[Listed]:
        """Payments that were begun, given back or disputed from `since` to before `until`, each once, as it is now.

        Those that nobody began here, too, where money came by them.
        """
        ...

    def events(self, headers: Mapping[str, str], body: bytes) -> list[ProviderEvent]:
        """What a webhook tells, after its signature was checked; nothing for what is not ours to follow.

        Pure. Header names are lower case. Raises BadWebhook.
        """
        ...


class SellerAccount(msgspec.Struct, frozen=True):
    """A seller's account at a provider. `missing`: what it still asks of the seller, in its own words."""

    ref: str
    can_charge: bool
    can_be_paid: bool
    missing: Sequence[str] = ()


@runtime_checkable
class Onboarding(Protocol):
    """A provider at which sellers have accounts of their own."""

    async def open_account(self, seller: str, country: str) -> str:
        """The seller's account, opened when there is none. Raises Invalid for a country it does not serve."""
        ...

    async def onboarding_url(self, account: str, *, return_url: str, refresh_url: str) -> str:
        """Where the seller tells the provider who they are; for one use, within minutes. Raises NotFound."""
        ...

    async def account(self, ref: str) -> SellerAccount:
        """The account as it is now. Raises NotFound."""
        ...

    async def take_back(self, ref: str, amount: int, key: str) -> None:
        """Take so much of a payment's part back from the seller's account, once per key: the payer's bank took it.

        Raises Conflict when it is not there, KeyReused, NotFound.
        """
        ...


class Payout(msgspec.Struct, frozen=True, kw_only=True):
    """What a seller is to be paid into their account at the provider: once for `id`, the withdrawal.

    `attempt`: how often the provider said "not now"; it keeps that answer, so it is then asked under another key.
    """

    id: str
    account: str
    amount: int
    currency: str
    attempt: int = 0


class PaidOut(msgspec.Struct, frozen=True, kw_only=True):
    """A payout as the provider has it. `amount` is what the seller has of it still; `id` is the withdrawal."""

    id: str
    rail_ref: str
    amount: int
    currency: str


@runtime_checkable
class Payer(Protocol):
    """A provider that pays sellers what lies with the platform. Both ask it, and raise ProviderUnavailable."""

    async def pay_out(self, payout: Payout) -> PaidOut:
        """Pay, once per id. Raises Conflict with code `balance-too-low` when it cannot be paid now; other refusals
        (Invalid, Conflict, NotFound) are for good.
        """
        ...

    async def payout(self, id: str) -> PaidOut | None:
        """What was paid for a withdrawal."""
        ...

    def payouts(self, since: datetime, until: datetime) -> AsyncIterator[PaidOut]:
        """What was paid for withdrawals from `since` to before `until`."""
        ...


class Rail(msgspec.Struct, frozen=True, kw_only=True):
    """A provider in use: whom it serves, which of our companies sells by it, and what a bank statement says.

    No `countries` or no `currencies` means all of them.
    """

    provider: str
    legal_entity: str
    descriptor: str
    countries: frozenset[str] = frozenset()
    currencies: frozenset[str] = frozenset()

    def serves(self, country: str, currency: str) -> bool:
        """Whether it takes this currency from payers of this country ("" when it is not known)."""
        return (not self.countries or country in self.countries) and (
            not self.currencies or currency in self.currencies
        )


def route(country: str, currency: str, enabled: Sequence[Rail]) -> Rail:
    """The first of the enabled rails that serves this payer. Raises Invalid when none does."""
    for rail in enabled:
        if rail.serves(country, currency):
            return rail
    raise Invalid(f"No payment provider here takes {currency} from {country or 'there'}.", code="no-provider")


def parse_rails(text: str, *, legal_entity: str, descriptor: str) -> list[Rail]:
    """`"stripe@usher-inc:US,CA/USD stripe sandbox"`: each provider with, where they are named, the company that sells,
    the countries and the currencies. Raises Misconfigured for another form, and for none.
    """
    rails = []
    for word in text.split():
        found = _RAIL.match(word)
        if not found:
            raise Misconfigured(
                f"{word!r} is no payment provider; expected for example stripe or stripe@inc:US,CA/USD."
            )
        name, entity, countries, currencies = found.groups(default="")
        rail = Rail(
            provider=name,
            legal_entity=entity or legal_entity,
            descriptor=descriptor,
            countries=frozenset(countries.split(",")) - {""},
            currencies=frozenset(currencies.split(",")) - {""},
        )
        rails.append(rail)
    if not rails:
        raise Misconfigured("No payment provider is named; expected for example sandbox.")
    return rails
