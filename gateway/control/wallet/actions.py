"""What is done with wallets and earnings: look, transfer, take out, decide on it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

import msgspec
from msgspec.structs import replace

from gateway.control.accounts.named import receiving
from gateway.control.auth import Principal, require
from gateway.control.ledger import actions as ledger_actions
from gateway.control.ledger.model import Event, Ledger, Leg, Movement, Stamps, account
from gateway.control.outbox import Outbox
from gateway.control.payees import actions as payees
from gateway.control.payees.model import PayeeRows
from gateway.control.sellers import actions as sellers
from gateway.control.sellers.model import Seller, SellerRows
from gateway.control.wallet.model import (
    PAGE,
    Display,
    Earnings,
    History,
    Payment,
    Transfer,
    TransferOrder,
    Wallet,
    Wallets,
    accounts_of,
    check_transfer,
    decode_cursor,
    earnings_of,
    encode_cursor,
    payment_view,
    wallet_of,
)
from gateway.control.wallet.withdrawals import (
    BY_HAND,
    DAY,
    OWED,
    Policy,
    Rejection,
    Withdrawal,
    WithdrawalOrder,
    Withdrawals,
    WithdrawalState,
    arriving,
    bouncing,
    decide,
    default_policy,
    leaving,
    moved,
    returning,
)
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound
from shared.ids import new_id
from shared.money import to_json
from shared.rates import PER_DOLLAR, RATES_OF

NO_WITHDRAWAL = "There is no such withdrawal."
#: The kinds of the movements by which a withdrawal begins, is paid, and comes back from the bank after that.
LEAVING, PAYOUT, BOUNCED = "withdrawal", "payout", "payout-returned"


class People(Protocol):
    """Finds accounts by name, and keeps them; accounts provides it."""

    async def principal_named(self, folded: str) -> str | None: ...
    async def keep(self, principal: str) -> bool | None: ...


class Stores(Protocol):
    """One transaction."""

    @property
    def wallet(self) -> Wallets: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def accounts(self) -> People: ...
    @property
    def sellers(self) -> SellerRows: ...
    @property
    def payees(self) -> PayeeRows: ...
    @property
    def outbox(self) -> Outbox: ...


async def read_wallet(by: Principal, *, wallet: Wallets, default: str) -> Wallet:
    """All one has, by currency. `default`: the currency amounts are told in for who chose none."""
    display = await wallet.display(by.id) or default
    return wallet_of(await wallet.balances(accounts_of(by.id)), display)


async def read_earnings(handle: str, *, by: Principal, unit: Stores, default: str) -> Earnings:
    """A seller's money: pending, available, on its way, owed. Raises NotFound, Forbidden."""
    seller = await _seller(handle, "earnings:read", by=by, unit=unit)
    display = await unit.wallet.display(by.id) or default
    codes = [
        account("earnings_pending", seller.id),
        account("earnings", seller.id),
        account("payout_in_transit", seller.id),
        account("receivable", seller.id),
    ]
    return earnings_of(await unit.wallet.balances(codes), display)


async def history(by: Principal, *, wallet: Wallets, default: str, cursor: str = "", limit: int = PAGE) -> History:
    """What one paid and got, the newest first. Raises Invalid for a cursor that no page gave."""
    rows = await wallet.payments(by.id, decode_cursor(cursor), limit + 1)
    display = await wallet.display(by.id) or default
    items = [payment_view(row, display) for row in rows[:limit]]
    return History(items=items, next=encode_cursor(rows[limit - 1].id) if len(rows) > limit else None)


async def choose_display(currency: str | None, *, by: Principal, wallet: Wallets, default: str) -> Display:
    """In which currency one is told amounts besides their own. Raises Invalid for one without a rate."""
    if currency is not None and (currency not in PER_DOLLAR or not await wallet.is_asset(currency)):
        raise Invalid(f"There is no rate for {currency}.", code="currency-unknown")
    await wallet.set_display(by.id, currency)
    return Display(currency=currency or default, rates_of=RATES_OF)


async def transfer(
    order: TransferOrder, *, by: Principal, key: str, unit: Stores, clock: Clock, legal_entity: str
) -> Transfer:
    """Give money to another account. Raises Invalid, NotFound, Insufficient, Conflict for oneself and who is shut out.

    `legal_entity`: the company that keeps the wallets, here and below.
    """
    check_transfer(order.amount, order.currency)
    to = await receiving(order.to, accounts=unit.accounts)
    if to == by.id:
        raise Conflict("This is your own wallet.", code="transfer-to-oneself")
    legs = [
        Leg(account("wallet", by.id), order.currency, -order.amount),
        Leg(account("wallet", to), order.currency, order.amount),
    ]
    told = Event("payment.transferred", by.id, {"principal": by.id, "to": to, **_sum(order)})
    stamps = Stamps(legal_entity=legal_entity)
    posted = await ledger_actions.post(
        Movement(key=f"transfer:{key}", kind="transfer", legs=legs, stamps=stamps, events=[told]), ledger=unit.ledger
    )
    sent = Payment(
        principal=by.id,
        kind="sent",
        amount=-order.amount,
        currency=order.currency,
        rail="wallet",
        other=to,
        txn=posted.txn,
        at=clock.now(),
    )
    if not posted.replayed:  # answers are kept for some days, movements for good: it moved and was told of long ago
        await unit.wallet.tell(sent)
        await unit.wallet.tell(replace(sent, principal=to, kind="received", amount=order.amount, other=by.id))
    await unit.outbox.audit(by.id, "value:send_transfer", to, after={"txn": posted.txn, **_sum(order)}, place=by.place)
    return Transfer(txn=posted.txn, to=order.to, amount=order.amount, currency=order.currency)


async def withdraw(
    handle: str,
    order: WithdrawalOrder,
    *,
    by: Principal,
    key: str,
    unit: Stores,
    clock: Clock,
    hold_days: int,
    legal_entity: str,
    payers: Collection[str] = (),
) -> Withdrawal:
    """Take available earnings out, by the terms of the rail. Approved at once while all of a day stays within its
    ceiling, else by an admin.

    `payers`: the rails that pay by themselves, into an account that the seller has there. Raises NotFound, Forbidden,
    Invalid (below the minimum, an unknown rail), Conflict without such an account, Insufficient.
    """
    seller = await _seller(handle, "payout:write", by=by, unit=unit)
    if order.rail in payers and not await payees.payout_account(seller.id, order.rail, payees=unit.payees):
        raise Conflict(f"Open an account at {order.rail} to be paid there.", code="no-payout-account")
    if not await unit.wallet.is_asset(order.currency):
        raise Invalid(f"Nothing is booked in {order.currency} here.", code="currency-unknown")
    policy = await unit.wallet.policy(order.rail, order.currency)
    if policy is None and order.rail != BY_HAND:
        raise Invalid(f"Nothing is paid out by {order.rail} in {order.currency}.", code="rail-unknown")
    policy = policy or default_policy(order.rail, order.currency, hold_days=hold_days)
    now = clock.now()
    taken = await unit.wallet.taken_unasked(seller.id, policy, now - DAY) if policy.auto_up_to else 0
    made = decide(new_id("wdr"), order, policy, seller=seller.id, now=now, taken=taken)
    if not await unit.wallet.add(made, key=key, principal=by.id):
        raise Conflict("This was withdrawn by the same request before.", code="withdrawn-already")
    await _post(made, LEAVING, leaving(made), unit=unit, legal_entity=legal_entity)
    await unit.outbox.audit(by.id, "payout:request", made.id, after=_said(made), place=by.place)
    return made


async def approve(id: str, *, by: Principal, unit: Stores, clock: Clock) -> Withdrawal:
    """Let a withdrawal be paid, once its days have passed. One whose seller owes something by now is sent back instead.

    Raises Forbidden, NotFound, Conflict.
    """
    before = await _held(id, by=by, unit=unit)
    after = moved(before, "approved", now=clock.now())
    if await unit.wallet.owing([id]):
        return await send_back(before, OWED, actor=by.id, place=by.place, unit=unit, clock=clock)
    await unit.outbox.emit("payout.changed", after.id, **_told(after), txn=None)
    return await _decided(before, after, actor=by.id, place=by.place, unit=unit)


async def reject(
    id: str, why: Rejection, *, by: Principal, unit: Stores, clock: Clock, payers: Collection[str] = ()
) -> Withdrawal:
    """Return a withdrawal: it is available again, after what is owed by now.

    Raises Forbidden, NotFound, Conflict, also for one that its rail may be paying by itself now, or paid so.
    """
    before = _by_hand(await _held(id, by=by, unit=unit), payers)
    if before.state == "paid" and not why.came_back:
        raise Conflict("This withdrawal is paid already.", code="withdrawal-paid")
    return await send_back(before, why.reason, actor=by.id, place=by.place, unit=unit, clock=clock)


async def complete(
    id: str, rail_ref: str, *, by: Principal, unit: Stores, clock: Clock, payers: Collection[str] = ()
) -> Withdrawal:
    """Say that an approved withdrawal was paid, whatever its seller owes by now: it left.

    Raises as `reject`, and Conflict before it is due.
    """
    before = _by_hand(await _held(id, by=by, unit=unit), payers)
    return await settle(before, rail_ref, actor=by.id, place=by.place, unit=unit, clock=clock)


async def send_back(
    before: Withdrawal, reason: str, *, actor: str, place: str = "", unit: Stores, clock: Clock
) -> Withdrawal:
    """Book that a withdrawal, whose row is held, is not paid: rejected, or returned where it was paid or was to be."""
    state: WithdrawalState = "returned" if before.state in ("paying", "paid") else "rejected"
    after = replace(moved(before, state, now=clock.now()), reason=reason)
    entity = await _legal_entity(before, unit=unit)
    codes = [account(kind, before.seller) for kind in ("payout_in_transit", "earnings", "receivable")]
    # Whoever makes a seller owe something holds their earnings, so no debt comes between reading it and paying it.
    await unit.wallet.hold(codes, before.currency)
    if paid := await unit.ledger.txn_named(f"{before.id}:{PAYOUT}") if before.state == "paid" else None:
        await _post(after, BOUNCED, bouncing(after), unit=unit, legal_entity=entity, reverses=paid.id)
    owed = await ledger_actions.balance(account("receivable", before.seller), before.currency, ledger=unit.ledger)
    await _post(after, "withdrawal-returned", returning(after, -owed.balance), unit=unit, legal_entity=entity)
    return await _decided(before, after, actor=actor, place=place, unit=unit)


async def settle(
    before: Withdrawal, rail_ref: str, *, actor: str, place: str = "", unit: Stores, clock: Clock
) -> Withdrawal:
    """Book that a withdrawal, whose row is held, was paid."""
    after = replace(moved(before, "paid", now=clock.now()), rail_ref=rail_ref, reason="")
    entity = await _legal_entity(before, unit=unit)
    await _post(after, PAYOUT, arriving(after), unit=unit, legal_entity=entity)
    return await _decided(before, after, actor=actor, place=place, unit=unit)


async def of_seller(handle: str, *, by: Principal, unit: Stores) -> list[Withdrawal]:
    """A seller's withdrawals, the newest first, a page of them. Raises NotFound, Forbidden."""
    seller = await _seller(handle, "earnings:read", by=by, unit=unit)
    return await unit.wallet.of_seller(seller.id, PAGE)


async def waiting(*, by: Principal, unit: Stores) -> Withdrawals:
    """What is to be decided or paid, the oldest first, and what its sellers owe by now. Raises Forbidden."""
    require(by, "payout:approve")
    items = await unit.wallet.waiting(PAGE)
    owing = await unit.wallet.owing([one.id for one in items])
    return Withdrawals(
        items=items,
        handles=await unit.sellers.handles({one.seller for one in items}),
        owing={id: to_json(amount) for id, amount in owing.items()},
    )


async def terms(handle: str, *, by: Principal, unit: Stores, hold_days: int) -> list[Policy]:
    """On which terms a seller is paid out: those that were set, and by hand in whatever else they have earned.

    Raises NotFound, Forbidden.
    """
    seller = await _seller(handle, "earnings:read", by=by, unit=unit)
    found = await unit.wallet.policies()
    known = {one.currency for one in found if one.rail == BY_HAND}
    earned = {one.asset for one in await unit.wallet.balances([account("earnings", seller.id)])}
    return [*found, *(default_policy(BY_HAND, one, hold_days=hold_days) for one in sorted(earned - known))]


async def policies(*, by: Principal, wallet: Wallets) -> list[Policy]:
    """The terms that were set. Raises Forbidden."""
    require(by, "payout:approve")
    return await wallet.policies()


async def set_policy(policy: Policy, *, by: Principal, unit: Stores, clock: Clock) -> Policy:
    """The terms of a rail from now on; what was asked for before keeps its own. Raises Forbidden, Invalid."""
    require(by, "payout:approve")
    if not await unit.wallet.is_asset(policy.currency):
        raise Invalid(f"Nothing is booked in {policy.currency} here.", code="currency-unknown")
    before = await unit.wallet.policy(policy.rail, policy.currency)
    await unit.wallet.set_policy(policy, clock.now())
    said = [msgspec.to_builtins(one) if one else None for one in (before, policy)]
    await unit.outbox.audit(by.id, "payout:policy", policy.rail, before=said[0], after=said[1], place=by.place)
    return policy


async def _seller(handle: str, permission: str, *, by: Principal, unit: Stores) -> Seller:
    seller = await sellers.read(handle, sellers=unit.sellers)
    require(by, permission, seller)
    return seller


async def _held(id: str, *, by: Principal, unit: Stores) -> Withdrawal:
    require(by, "payout:approve")
    found = await unit.wallet.by_id(id, lock=True)
    if found is None:
        raise NotFound(NO_WITHDRAWAL)
    return found


def _by_hand(withdrawal: Withdrawal, payers: Collection[str]) -> Withdrawal:
    if withdrawal.state in ("paying", "paid") and withdrawal.rail in payers:
        raise Conflict(f"{withdrawal.rail} pays this by itself.", code=f"withdrawal-{withdrawal.state}")
    return withdrawal


async def _decided(before: Withdrawal, after: Withdrawal, *, actor: str, place: str, unit: Stores) -> Withdrawal:
    await unit.wallet.put(after, by=actor)
    await unit.outbox.audit(
        actor, "payout:decide", after.id, before={"state": before.state}, after=_said(after), place=place
    )
    return after


async def _legal_entity(withdrawal: Withdrawal, *, unit: Stores) -> str | None:
    """The company whose books it left: it is paid, or comes back, in the same, whatever the settings say by now."""
    left = await unit.ledger.txn_named(f"{withdrawal.id}:{LEAVING}")
    return left.postings[0].stamps.legal_entity if left else None


async def _post(
    withdrawal: Withdrawal,
    kind: str,
    legs: list[Leg],
    *,
    unit: Stores,
    legal_entity: str | None,
    reverses: int | None = None,
) -> None:
    movement = Movement(
        key=f"{withdrawal.id}:{kind}",
        kind=kind,
        legs=legs,
        stamps=Stamps(seller=withdrawal.seller, legal_entity=legal_entity, provider_ref=withdrawal.rail_ref or None),
        reverses=reverses,
        events=[Event("payout.changed", withdrawal.id, _told(withdrawal))] if reverses is None else [],
    )
    await ledger_actions.post(movement, ledger=unit.ledger)


def _told(withdrawal: Withdrawal) -> dict[str, object]:
    return {"withdrawal": withdrawal.id, "seller": withdrawal.seller, "state": withdrawal.state, **_sum(withdrawal)}


def _sum(order: TransferOrder | Withdrawal) -> dict[str, object]:
    return {"amount": order.amount, "currency": order.currency}


def _said(withdrawal: Withdrawal) -> dict[str, object]:
    return {"state": withdrawal.state, "reason": withdrawal.reason, "rail": withdrawal.rail, **_sum(withdrawal)}
