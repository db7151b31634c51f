"""Purchases as values: their states, what follows from what a provider says, requests and answers, and the ports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gateway.control.checkout.shares import Part, Partner
from gateway.control.coupons.model import Code
from gateway.control.entitlements.model import Right
from gateway.control.payments.providers.base import Charge
from shared.errors import Conflict

State = Literal["new", "authorized", "paid", "refunded", "disputed", "failed", "expired"]
Kind = Literal["title", "top_up"]
RefundState = Literal["asked", "done", "failed"]
ReversalState = Literal["asked", "done", "owed"]

WALLET = "wallet"
#: How long a payer has at a provider; what is paid later still counts.
OPEN_FOR = timedelta(minutes=30)
#: The legal moves. A provider's word comes late and counts all the same: what failed or ran out here can be paid there.
MOVES: Mapping[State, frozenset[State]] = {
    "new": frozenset({"authorized", "paid", "refunded", "disputed", "failed", "expired"}),
    "authorized": frozenset({"paid", "refunded", "disputed", "failed", "expired"}),
    "failed": frozenset({"paid", "refunded", "disputed"}),
    "expired": frozenset({"paid", "refunded", "disputed"}),
    "paid": frozenset({"refunded", "disputed"}),
    "disputed": frozenset({"paid", "refunded"}),
    "refunded": frozenset({"disputed"}),
}
OPEN: frozenset[State] = frozenset({"new", "authorized"})
#: What is the more: who has one buys no other that is as much or less.
WORTH: Mapping[str, int] = {"free": 0, "view": 1, "rent": 2, "own": 3}
#: What became of a dispute, by event; that it is lost is known by the payment alone.
DISPUTES: Mapping[str, str] = {"payment.disputed": "opened", "payment.dispute_won": "won"}

Amount = Annotated[int, Meta(ge=1, le=10**12)]
Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3,5}$(?!\n)")]
Country = Annotated[str, Meta(pattern=r"^(?:[A-Z]{2})?$(?!\n)")]
Reason = Annotated[str, Meta(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]
Rail = Annotated[str, Meta(pattern=r"^(?:[a-z][a-z0-9_]{0,30})?$(?!\n)")]
#: A page of ours to come back to, never another site's.
Path = Annotated[str, Meta(max_length=500, pattern=r"^(?:/(?![/\\])[^\s\x00-\x1f\\]*)?$(?!\n)")]


class CheckoutOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Buys what an offer says in the version the buyer saw.

    `pay`: `wallet`, a provider's name, or empty for the one that serves `country`. `gift_to`: whose it shall be.
    `referral`: by whose code the buyer came; a wrong one keeps nobody from buying.
    """

    offer: Annotated[str, Meta(max_length=60, pattern=r"^[a-z0-9_]+$(?!\n)")]
    version: Annotated[int, Meta(ge=1, le=2**31 - 1)]
    pay: Rail = WALLET
    coupon: Code | None = None
    gift_to: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[^\x00]*$")] | None = None
    referral: Annotated[str, Meta(max_length=32, pattern=r"^[A-Za-z0-9]*$(?!\n)")] | None = None
    country: Country = ""
    return_path: Path = ""


class TopUpOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Pays onto one's wallet by a provider."""

    amount: Amount
    currency: Currency
    pay: Rail = ""
    country: Country = ""
    return_path: Path = ""


class RefundOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Gives a purchase back, or so much of it."""

    reason: Reason
    amount: Amount | None = None


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is paid for: a scope for `viewer`, or money onto a wallet. `key` makes it one purchase.

    `refunded` and `disputed`: taken back so far. `seller_account`: where the rail pays the seller's part at once.
    `booked`: its movements so far. `look_at`: when its provider is asked about it, None when nothing is open.
    """

    id: str
    key: str
    kind: Kind
    principal: str
    viewer: str
    scope: str | None = None
    title: str | None = None
    seller: str | None = None
    offer: str | None = None
    offer_version: int | None = None
    coupon: str | None = None
    referrer: str | None = None
    amount: int
    currency: str
    rail: str
    state: State = "new"
    provider_ref: str | None = None
    url: str = ""
    words: str = ""
    return_url: str = ""
    legal_entity: str
    fee_bp: int
    seller_account: str = ""
    rail_fee: int = 0
    refunded: int = 0
    disputed: int = 0
    txn: int | None = None
    booked: int = 0
    created_at: datetime
    expires_at: datetime
    look_at: datetime | None = None
    paid_at: datetime | None = None
    settle_at: datetime | None = None
    settled_at: datetime | None = None

    @property
    def was_paid(self) -> bool:
        """Whether money came, whatever became of it since."""
        return self.paid_at is not None

    @property
    def is_pending(self) -> bool:
        """Whether the earnings of it are not available yet."""
        return self.settle_at is not None and self.settled_at is None

    @property
    def left(self) -> int:
        """What can still be given back."""
        return max(0, self.amount - self.refunded - self.disputed) if self.was_paid else 0

    @property
    def is_refundable(self) -> bool:
        """Whether something can be given back: of what cost nothing its right."""
        return self.state == "paid" and (self.left > 0 or not self.amount)


class PurchaseView(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase as its buyer sees it. `url`: where paying goes on while it is `new`; `words`: why it failed."""

    id: str
    kind: Kind
    state: State
    title: str | None
    offer: str | None
    amount: int
    currency: str
    refunded: int
    rail: str
    url: str
    words: str
    is_gift: bool
    created_at: datetime
    paid_at: datetime | None


class Refund(msgspec.Struct, frozen=True, kw_only=True):
    """Money given back; `asked`: the provider has not done it yet, `failed`: it will not by itself."""

    id: str
    purchase: str
    amount: int
    currency: str
    reason: str
    state: RefundState
    words: str = ""
    created_at: datetime
    tries: int = 0


class Sold(msgspec.Struct, frozen=True):
    """What was sold by a purchase, the kind of its offer with the hours of a rental, and the name of its seller."""

    term: str
    hours: int | None
    seller: str


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """What a rail is to take back of a payment from the seller's own account there; `tries` got no answer."""

    id: str
    purchase: str
    amount: int
    tries: int


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be booked because a provider says so. `sale`: share it out; `give_back`: give all of it back at once.

    `rail_fee`, `refund` and `dispute` are what is new of each; below zero a dispute was won, a fee came back.
    """

    state: State
    sale: bool = False
    give_back: bool = False
    rail_fee: int = 0
    refund: int = 0
    dispute: int = 0
    words: str = ""

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to book."""
        return not (self.sale or self.give_back or self.rail_fee or self.refund or self.dispute)


class PartnerShare(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A partner of a title, by handle, and their basis points of what the platform's fee leaves."""

    seller: Annotated[str, Meta(max_length=32)]
    share_bp: Annotated[int, Meta(ge=1, le=10_000)]


class Partners(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All partners of a title; the rest of what the fee leaves is its seller's."""

    items: Annotated[list[PartnerShare], Meta(max_length=50)]


class Purchases(Protocol):
    """What the actions ask of storage."""

    async def add(self, purchase: Purchase) -> bool: ...
    async def by_id(self, id: str, *, lock: bool = False) -> Purchase | None: ...
    async def by_key(self, key: str) -> Purchase | None: ...
    async def open_for(self, viewer: str, scope: str) -> Purchase | None: ...
    async def put(self, purchase: Purchase) -> None: ...
    async def parts(self, purchase: str) -> list[Part]: ...
    async def put_parts(self, purchase: str, parts: Sequence[Part]) -> None: ...
    async def drop_parts(self, purchase: str) -> None: ...
    async def funds(self, codes: Sequence[str], currency: str) -> dict[str, int]: ...
    async def partners(self, title: str) -> list[Partner]: ...
    async def partner_handles(self, title: str) -> list[PartnerShare]: ...
    async def set_partners(self, title: str, partners: Sequence[Partner]) -> None: ...
    async def due_to_settle(self, now: datetime, limit: int) -> list[str]: ...
    async def due_to_look(self, now: datetime, limit: int) -> list[str]: ...
    async def add_refund(
        self, refund: Refund, *, actor: str, txn: int | None, of_seller: int | None = None, key: str | None = None
    ) -> bool: ...
    async def refund(self, id: str, *, lock: bool = False) -> Refund | None: ...
    async def of_seller(self, refund: str) -> int | None: ...
    async def due_refunds(self, now: datetime, limit: int) -> list[str]: ...
    async def close_refund(self, id: str, state: RefundState, *, words: str, at: datetime) -> None: ...
    async def reopen_refund(self, id: str, at: datetime) -> None: ...
    async def retry_refund(self, id: str, at: datetime) -> None: ...
    async def taken_there(self, purchase: str) -> int: ...
    async def of_seller_unmade(self, purchase: str) -> int: ...
    async def add_reversal(self, reversal: Reversal, now: datetime) -> None: ...
    async def due_reversals(self, now: datetime, limit: int) -> list[str]: ...
    async def reversal(self, id: str) -> Reversal | None: ...
    async def close_reversal(self, id: str, state: ReversalState, at: datetime) -> None: ...
    async def retry_reversal(self, id: str, at: datetime) -> None: ...
    async def sold(self, purchase: str) -> Sold | None: ...
    async def look_again(self, purchase: str, at: datetime) -> None: ...


def move(purchase: Purchase, state: State) -> State:
    """The state, if the purchase may be in it next; the one it is in is always allowed. Raises Conflict."""
    if state != purchase.state and state not in MOVES[purchase.state]:
        raise Conflict(f"A purchase that is {purchase.state} cannot become {state}.", code=f"purchase-{purchase.state}")
    return state


def standing(amount: int, *, refunded: int, disputed: int) -> State:
    """The state of what was paid, after what was taken back of it."""
    if disputed > 0:
        return "disputed"
    return "refunded" if amount and refunded >= amount else "paid"


def given_back(purchase: Purchase, amount: int) -> State:
    """The state once so much more is given back; of what cost nothing that is all. Raises Conflict."""
    after = standing(purchase.amount, refunded=purchase.refunded + amount, disputed=0)
    return move(purchase, after if purchase.amount else "refunded")


def follow(purchase: Purchase, charge: Charge, *, wanted: bool) -> Step:
    """What follows from a payment as its provider has it now, whatever was heard before and in whatever order.

    `wanted`: the viewer has no such right yet. Money that comes where it is not, or comes in another amount or currency
    than asked, is given back.
    """
    if charge.state != "paid":
        return Step(state=_unpaid(purchase, charge), words=charge.words)
    fits = (charge.order, charge.amount, charge.currency) == (purchase.id, purchase.amount, purchase.currency)
    sale = not purchase.was_paid and fits and wanted
    give_back = not purchase.was_paid and not sale
    refunded = charge.amount if give_back else max(purchase.refunded, charge.refunded)
    return Step(
        state=move(purchase, standing(charge.amount, refunded=refunded, disputed=charge.disputed)),
        sale=sale,
        give_back=give_back,
        rail_fee=charge.fee - purchase.rail_fee if charge.fee else 0,
        refund=0 if give_back else refunded - purchase.refunded,
        dispute=charge.disputed - purchase.disputed,
    )


def _unpaid(purchase: Purchase, charge: Charge) -> State:
    if purchase.state not in OPEN:
        return purchase.state
    match charge.state:
        case "authorized":
            return "authorized"
        case "declined":
            return "failed"
        case "voided":
            return "expired"
    return purchase.state


def check_again(rights: Iterable[Right], *, offer_kind: str, now: datetime) -> None:
    """Raises Conflict for what the viewer has already, or what is less than that.

    Whatever lets them in at this moment: what is free now, or was given, leaves what they bought for later.
    """
    held = [right.term for right in rights if right.kind == "purchase" and right.stands(now)]
    if any(WORTH[term] >= WORTH[offer_kind] for term in held):
        raise Conflict("This is bought already.", code="bought-already")


def view(purchase: Purchase) -> PurchaseView:
    """A purchase as its buyer sees it."""
    return PurchaseView(
        id=purchase.id,
        kind=purchase.kind,
        state=purchase.state,
        title=purchase.title,
        offer=purchase.offer,
        amount=purchase.amount,
        currency=purchase.currency,
        refunded=purchase.refunded,
        rail=purchase.rail,
        url=purchase.url if purchase.state == "new" else "",
        words=purchase.words,
        is_gift=purchase.viewer != purchase.principal,
        created_at=purchase.created_at,
        paid_at=purchase.paid_at,
    )
