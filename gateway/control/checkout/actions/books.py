"""Movements of one purchase: sold, taken back, given again, settled. Whoever calls these holds its row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from msgspec.structs import replace

from gateway.control.checkout import shares
from gateway.control.checkout.actions.stores import Shop, Stores
from gateway.control.checkout.model import WALLET, Purchase, Refund
from gateway.control.checkout.shares import Book, Part
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Event, Leg, Movement, Stamps, account
from gateway.control.payments.providers.base import Charge
from gateway.control.wallet.model import Payment, PaymentKind

Why = Literal["refund", "dispute"]
CLEARING = account("refunds_clearing")


async def sell(purchase: Purchase, *, unit: Stores, shop: Shop, fee: Sequence[Leg] = ()) -> Purchase:
    """Book a payment: what came in to everybody who has a part in it, and what the rail kept. Raises Insufficient.

    Something that costs nothing is sold without a movement, and told all the same.
    """
    now = shop.clock.now()
    parts = await _share_out(purchase, unit=unit, shop=shop)
    if purchase.referrer and await unit.accounts.keep(purchase.referrer) is None:
        parts = shares.unreferred(parts)
    book = await _book(purchase, parts, unit=unit, pending=True, beside=[_paying(purchase).account])
    legs = [_paying(purchase), *fee, *shares.giving(parts, [part.amount for part in parts], book)]
    told = _event(purchase, "payment.paid", purchase.amount, kind=purchase.kind, rail=purchase.rail)
    kind = "sale" if purchase.kind == "title" else "top-up"
    purchase, txn = await _post(purchase, kind, legs, unit=unit, events=[told])
    if txn is None:
        await unit.outbox.emit(told.type, told.subject, **told.data, txn=None)
    await unit.purchases.put_parts(purchase.id, parts)
    purchase = replace(
        purchase,
        state="paid",
        txn=txn,
        paid_at=now,
        look_at=None,
        settle_at=now + shop.settles_after if any(part.kind == "earnings" and part.amount for part in parts) else None,
    )
    await _tell(purchase, "purchase" if purchase.kind == "title" else "top_up", -purchase.amount, unit=unit, now=now)
    return purchase


async def take(
    purchase: Purchase, amount: int, *, why: Why, to: str, unit: Stores, now: datetime
) -> tuple[Purchase, int | None]:
    """Take an amount back from all who have a part, in proportion, onto the account `to`; also the movement's id.

    What they have not got any more they owe; onto a wallet, what its owner owes is paid first. More than they got is
    the platform's loss. Nothing is taken back without a movement, and told all the same.
    """
    parts = await unit.purchases.parts(purchase.id)
    shared = min(amount, sum(part.left for part in parts))
    taken = shares.take_back(parts, shared)
    back = shares.top_up(amount, purchase.principal) if to == account("wallet", purchase.principal) else []
    book = await _book(purchase, [*parts, *back], unit=unit, pending=purchase.is_pending, beside=[to])
    lost = Leg(account("platform_fee"), purchase.currency, shared - amount)
    given = shares.giving(back, [amount], book) if back else [Leg(to, purchase.currency, amount)]
    legs = [*shares.taking(parts, taken, book), lost, *given]
    told = _event(purchase, "payment.refunded" if why == "refund" else "payment.disputed", amount)
    purchase, txn = await _post(purchase, why, legs, unit=unit, events=[told], reverses=purchase.txn)
    if txn is None:
        await unit.outbox.emit(told.type, told.subject, **told.data, txn=None)
    await unit.purchases.put_parts(purchase.id, shares.after(parts, taken))
    total = {"refunded": purchase.refunded + amount} if why == "refund" else {"disputed": purchase.disputed + amount}
    await _tell(replace(purchase, txn=txn), why, amount, unit=unit, now=now)
    return replace(purchase, **total), txn


async def give_again(purchase: Purchase, amount: int, *, unit: Stores, now: datetime) -> Purchase:
    """A dispute over an amount is won: everybody gets again what was taken for it, where it was taken."""
    parts = await unit.purchases.parts(purchase.id)
    shared = min(amount, sum(part.back for part in parts))
    parts, given = shares.kept_here(parts, shares.give_again(parts, shared))
    book = await _book(purchase, parts, unit=unit, pending=purchase.is_pending, owed=True)
    won = Leg(account("platform_fee"), purchase.currency, amount - shared)
    legs = [_cash(purchase, -amount), won, *shares.giving(parts, given, book)]
    told = _event(purchase, "payment.dispute_won", amount)
    purchase, txn = await _post(purchase, "dispute-won", legs, unit=unit, events=[told])
    await unit.purchases.put_parts(purchase.id, shares.after(parts, [-one for one in given], owed=True))
    await _tell(replace(purchase, txn=txn), "dispute", -amount, unit=unit, now=now)
    return replace(purchase, disputed=purchase.disputed - amount)


async def owe(purchase: Purchase, why: str, amount: int, *, unit: Stores) -> None:
    """The seller owes of a refund or reversal what their rail was to take from their account there and cannot. Once."""
    if purchase.seller is None:
        return
    there = [Part(n=0, kind="external", to=purchase.seller, amount=amount)]
    book = await _book(purchase, there, unit=unit, pending=purchase.is_pending, owed=True)
    legs = [*shares.giving(there, [amount], replace(book, owed=False)), *shares.taking(there, [amount], book)]
    movement = Movement(key=f"{why}:owed", kind="refund-owed", legs=_moving(legs), stamps=_stamps(purchase))
    await ledger.post(movement, ledger=unit.ledger)
    parts = await unit.purchases.parts(purchase.id)
    await unit.purchases.put_parts(purchase.id, shares.owe(parts, amount))


async def done(refund: Refund, purchase: Purchase, *, unit: Stores) -> None:
    """The provider has given back what waited for it. Once."""
    legs = [Leg(CLEARING, refund.currency, -refund.amount), Leg(cash(purchase), refund.currency, refund.amount)]
    movement = Movement(key=f"{refund.id}:done", kind="refund-done", legs=legs, stamps=_stamps(purchase))
    await ledger.post(movement, ledger=unit.ledger)


async def settle(purchase: Purchase, *, unit: Stores, now: datetime) -> Purchase:
    """Make its earnings available; what their owners owe is paid first. Once."""
    if not purchase.is_pending:
        return purchase
    parts = await unit.purchases.parts(purchase.id)
    pending = [account("earnings_pending", part.to) for part in parts if part.kind == "earnings"]
    book = await _book(purchase, parts, unit=unit, pending=False, beside=pending)
    purchase, _ = await _post(purchase, "settlement", shares.settling(parts, book), unit=unit)
    return replace(purchase, settled_at=now)


async def return_all(purchase: Purchase, charge: Charge, *, unit: Stores, now: datetime) -> tuple[Purchase, int, int]:
    """Money that came and was not wanted lies ready to be given back; also how much that is, and the movement's id.

    Nobody gets a part of it.
    """
    await unit.purchases.drop_parts(purchase.id)
    amount = max(0, charge.amount - charge.refunded - charge.disputed)
    legs = [
        Leg(account("cash", purchase.rail), charge.currency, -amount),
        Leg(CLEARING, charge.currency, amount),
        *rail_fee(purchase, charge),
    ]
    purchase, txn = await _post(purchase, "returned", legs, unit=unit)
    total = {"refunded": charge.amount, "disputed": charge.disputed, "rail_fee": charge.fee or purchase.rail_fee}
    return replace(purchase, **total, paid_at=now, look_at=None, txn=txn), amount, txn or 0


async def more_rail_fee(purchase: Purchase, charge: Charge, *, unit: Stores) -> Purchase:
    """What the rail kept, where that is told after the payment, or changed: disputes cost, and won ones less."""
    purchase, _ = await _post(purchase, "rail-fee", rail_fee(purchase, charge), unit=unit)
    return replace(purchase, rail_fee=charge.fee or purchase.rail_fee)


async def agree(purchase: Purchase, *, unit: Stores, shop: Shop) -> None:
    """Write down who gets what of a payment of which the rail pays a part out at once.

    The rail does so by what it is told when the payment begins, whoever the partners are by the time it is paid.
    """
    if purchase.seller_account:
        await unit.purchases.put_parts(purchase.id, await _share_out(purchase, unit=unit, shop=shop))


async def kept(purchase: Purchase, *, unit: Stores, shop: Shop) -> int:
    """What of a payment does not go to the seller's own account at the rail: the fee, and what partners get."""
    parts = await _share_out(purchase, unit=unit, shop=shop)
    return sum(part.amount for part in parts if part.kind != "external")


def rail_fee(purchase: Purchase, charge: Charge) -> list[Leg]:
    """Legs of what the rail kept and was not booked yet, in the currency it took it in; none while that is unknown."""
    fee, currency = charge.fee - purchase.rail_fee if charge.fee else 0, charge.fee_currency or charge.currency
    return [
        Leg(account("rail_fee", purchase.rail), currency, -fee),
        Leg(account("cash", purchase.rail), currency, fee),
    ]


def cash(purchase: Purchase) -> str:
    """Where money lies that went back by the rail by itself."""
    return account("cash", purchase.rail)


def purse(purchase: Purchase) -> str:
    """Where what is given back goes: onto the wallet, or where it waits for the provider."""
    return account("wallet", purchase.principal) if purchase.rail == WALLET else CLEARING


async def _share_out(purchase: Purchase, *, unit: Stores, shop: Shop) -> list[Part]:
    if purchase.seller is None or purchase.title is None:
        return shares.top_up(purchase.amount, purchase.principal)
    if purchase.seller_account and (agreed := await unit.purchases.parts(purchase.id)):
        return agreed
    partners = await unit.purchases.partners(purchase.title)
    parts = shares.share_out(purchase.amount, purchase.fee_bp, purchase.seller, partners=partners)
    parts = shares.refer(parts, purchase.referrer, shop.referral_bp) if purchase.referrer else parts
    return shares.paid_out(parts, purchase.seller) if purchase.seller_account else parts


async def _book(
    purchase: Purchase,
    parts: Sequence[Part],
    *,
    unit: Stores,
    pending: bool,
    owed: bool = False,
    beside: Sequence[str] = (),
) -> Book:
    """Where the parts lie, the rows of accounts that this depends on held.

    With them all others on which the same movement is booked, `beside` the parts' own: in one order, so that no two
    wait for each other.
    """
    book = Book(rail=purchase.rail, currency=purchase.currency, pending=pending, owed=owed)
    codes = shares.accounts_of(parts, book)
    if not codes:
        return book
    held = sorted({*codes, *map(book.home, parts), *beside})
    return replace(book, funds=await unit.purchases.funds(held, purchase.currency))


async def _post(
    purchase: Purchase,
    kind: str,
    legs: Sequence[Leg],
    *,
    unit: Stores,
    events: Sequence[Event] = (),
    reverses: int | None = None,
) -> tuple[Purchase, int | None]:
    """Book the purchase's next movement, if it moves anything."""
    if not (legs := _moving(legs)):
        return purchase, None
    movement = Movement(
        # Its row counts them, so each has a key of its own.
        key=f"{purchase.id}:{purchase.booked + 1}",
        kind=kind,
        legs=legs,
        stamps=_stamps(purchase),
        reverses=reverses,
        events=events,
    )
    posted = await ledger.post(movement, ledger=unit.ledger)
    return replace(purchase, booked=purchase.booked + 1), posted.txn


def _moving(legs: Sequence[Leg]) -> list[Leg]:
    return [leg for leg in legs if leg.amount]


def _stamps(purchase: Purchase) -> Stamps:
    return Stamps(
        seller=purchase.seller,
        scope=purchase.scope,
        model="tvod" if purchase.kind == "title" else None,
        legal_entity=purchase.legal_entity,
        fee_bp=purchase.fee_bp if purchase.kind == "title" else None,
        provider_ref=purchase.provider_ref,
    )


def _paying(purchase: Purchase) -> Leg:
    if purchase.rail == WALLET:
        return Leg(account("wallet", purchase.principal), purchase.currency, -purchase.amount)
    return _cash(purchase, -purchase.amount)


def _cash(purchase: Purchase, amount: int) -> Leg:
    return Leg(cash(purchase), purchase.currency, amount)


def _event(purchase: Purchase, type: str, amount: int, **more: object) -> Event:
    data = {"purchase": purchase.id, "amount": amount, "currency": purchase.currency, "title": purchase.title}
    return Event(type, purchase.id, {**data, "seller": purchase.seller, **more})


async def _tell(purchase: Purchase, kind: PaymentKind, amount: int, *, unit: Stores, now: datetime) -> None:
    """Write it into the history of who paid; of a top-up it is their wallet that gained, and loses."""
    payment = Payment(
        principal=purchase.principal,
        kind=kind,
        amount=amount if purchase.kind == "title" else -amount,
        currency=purchase.currency,
        rail=purchase.rail,
        purchase=purchase.id,
        title=purchase.title,
        txn=purchase.txn,
        at=now,
    )
    await unit.wallet.tell(payment)
