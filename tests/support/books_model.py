"""A second set of books, of dictionaries: what each act of people ought to move, for the real ones to be held against.

It shares no arithmetic with what it checks: shares are fractions here, floors and largest remainders counted anew.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

import msgspec
from msgspec.structs import replace

from tests.support.books_facts import Coupon, Film, Held, Leaving, Part, Refund, Refusal, Sale

Leg = tuple[str, int]
FEE_BP, REFERRAL_BP, SETTLES_AFTER, OPEN_FOR = 1000, 2500, timedelta(days=7), timedelta(minutes=30)
#: What is paid out at least, approved at once, and held.
MINIMUM, AUTO, HELD_FOR = 100, 300, timedelta(days=2)
#: Kinds of accounts of which no more is taken than is there.
SPENT = ("wallet", "earnings", "earnings_pending", "payout_in_transit")


class ModelBooks(msgspec.Struct):
    """Who has what, by account; and all that was ever sold, asked back, taken out, put on cards and set aside."""

    films: dict[str, Film]
    coupons: dict[str, Coupon]
    balances: dict[str, int] = {}
    held: dict[str, int] = {}
    sales: dict[str, Sale] = {}
    refunds: list[Refund] = []
    leaving: dict[str, Leaving] = {}
    cards: dict[str, int] = {}
    holds: dict[str, Held] = {}

    def copy(self) -> ModelBooks:
        """Apart from this one."""
        return copy.deepcopy(self)

    def has(self, code: str) -> int:
        """What lies on an account."""
        return self.balances.get(code, 0)

    def free(self, code: str) -> int:
        """What may be spent of it."""
        return self.has(code) - self.held.get(code, 0)

    def move(self, *legs: Leg) -> None:
        """Book it, or none of it where something is not there."""
        assert sum(amount for _, amount in legs) == 0, legs
        for code, amount in legs:
            self.balances[code] = self.has(code) + amount
        for code, _ in legs:
            if code.partition(":")[0] in SPENT and self.free(code) < 0:
                raise Refusal("insufficient")
            assert not code.startswith("receivable") or self.has(code) <= 0, code

    def owns(self, viewer: str, film: str) -> bool:
        """Whether a viewer has a right: one that was paid for, and stands."""
        return any((one.viewer, one.film, one.state) == (viewer, film, "paid") for one in self.sales.values())

    def buy(self, name: str, sale: Sale) -> str:
        """Buy from the wallet, or open a payment; the name of the sale, which is an older one where that is open."""
        film = self.films[sale.film]
        if self.owns(sale.viewer, film.id):
            raise Refusal("already-yours")
        sale.amount = film.price - self.off(film, sale.coupon)
        sale.rail = sale.rail if sale.amount else "wallet"
        for known, older in self.sales.items():
            if (older.viewer, older.film, older.state) == (sale.viewer, sale.film, "new"):
                if sale.rail != "wallet" and same(older, sale):
                    return known
                if older.payer == older.viewer != sale.payer and sale.opened < older.opened + OPEN_FOR:
                    raise Refusal("bought-meanwhile")
                older.state, older.coupon, older.freed = "expired", "", older.coupon
        self.claim(sale)
        self.sales[name] = sale
        if sale.rail == "wallet":
            self.sell(sale, sale.opened)
        return name

    def off(self, film: Film, code: str) -> int:
        """What a coupon takes off."""
        if not code:
            return 0
        found = self.coupons[code]
        if found.seller != film.seller:
            raise Refusal("coupon-unknown")
        return film.price * found.bp // 10_000 + min(found.amount, film.price)

    def claim(self, sale: Sale) -> None:
        """A coupon is used so often, and once by one payer; a payment that was given up uses none."""
        if not sale.coupon:
            return
        users = [one.payer for one in self.sales.values() if one.coupon == sale.coupon]
        if len(users) >= self.coupons[sale.coupon].uses:
            raise Refusal("coupon-used-up")
        if sale.payer in users:
            raise Refusal("coupon-used")

    def use_again(self, sale: Sale) -> bool:
        """Whether what was given up may be had after all: its coupon, if it had one, must not be used up by now."""
        try:
            self.claim(replace(sale, coupon=sale.freed))
        except Refusal:
            return False
        sale.coupon, sale.freed = sale.coupon or sale.freed, ""
        return True

    def sell(self, sale: Sale, now: datetime) -> None:
        """A payment came."""
        sale.parts = self.parts_of(sale)
        source = f"wallet:{sale.payer}" if sale.rail == "wallet" else "cash:sandbox"
        given = [leg for part in sale.parts for leg in self.giving(part, part.amount, pending=True)]
        self.move((source, -sale.amount), *given)
        sale.came, sale.state = True, "paid"
        if any(part.kind == "earnings" and part.amount for part in sale.parts):
            sale.settle_at = now + SETTLES_AFTER

    def parts_of(self, sale: Sale) -> list[Part]:
        """The fee, of it whoever brought the buyer, and the rest among seller and partners."""
        if not sale.film:
            return [Part("wallet", sale.payer, sale.amount)]
        film = self.films[sale.film]
        fee = sale.amount * FEE_BP // 10_000
        owners = {film.seller: 10_000 - sum(film.partners.values()), **film.partners}
        shares = in_proportion(sale.amount - fee, list(owners.values()))
        credit = fee * REFERRAL_BP // 10_000 if sale.referrer else 0
        sellers = [Part("earnings", owner, share) for owner, share in zip(owners, shares, strict=True)]
        return [
            Part("fee", "", fee - credit),
            *(part for part in sellers if owners[part.owner]),
            *([Part("wallet", sale.referrer, credit)] if credit else []),
        ]

    def giving(self, part: Part, amount: int, *, pending: bool) -> list[Leg]:
        """To whom a part goes: what they owe is paid first, of what they could spend."""
        owed = -self.has(f"receivable:{part.owner}") if part.kind == "wallet" or not pending else 0
        paid = min(amount, owed) if part.kind != "fee" else 0
        return [(f"receivable:{part.owner}", paid), (home(part, pending=pending), amount - paid)]

    def taking(self, part: Part, amount: int, *, pending: bool) -> list[Leg]:
        """From whom a part comes back: what they have spent they owe."""
        code = home(part, pending=pending)
        spendable = part.kind == "wallet" or (part.kind == "earnings" and not pending)
        there = min(amount, max(0, self.free(code))) if spendable else amount
        return [(code, -there), (f"receivable:{part.owner}", there - amount)]

    def take(self, sale: Sale, amount: int, to: str) -> None:
        """Take so much back of all who have a part; what they never got is the platform's loss. Debts come first."""
        left = [part.amount - part.back for part in sale.parts]
        shared = min(amount, sum(left))
        taken = in_proportion(shared, left)
        pending = sale.settle_at is not None
        legs = [leg for part, n in zip(sale.parts, taken, strict=True) for leg in self.taking(part, n, pending=pending)]
        purse = Part("wallet", sale.payer, amount)
        given = self.giving(purse, amount, pending=False) if to == home(purse, pending=False) else [(to, amount)]
        self.move(*legs, ("platform_fee", shared - amount), *given)
        for part, one in zip(sale.parts, taken, strict=True):
            part.back += one

    def refund(self, name: str, amount: int | None) -> int:
        """Give back so much, or all; how much that was. Of what cost nothing the right alone."""
        sale = self.sales[name]
        left = sale.amount - sale.refunded - sale.disputed
        if sale.state != "paid" or (sale.amount and left <= 0):
            raise Refusal("nothing-to-refund")
        amount = amount or left
        if amount > left:
            raise Refusal("refund-too-large")
        self.take(sale, amount, f"wallet:{sale.payer}" if sale.rail == "wallet" else "refunds_clearing")
        sale.refunded += amount
        sale.state = standing(sale) if sale.amount else "refunded"
        if sale.rail != "wallet":
            self.refunds.append(Refund(name, amount))
        return amount

    def pay(self, name: str, fee: int, now: datetime) -> None:
        """A payer pays at the bank: it is a sale, or not wanted any more and goes back."""
        sale = self.sales[name]
        wanted = not sale.film or (not self.owns(sale.viewer, sale.film) and self.use_again(sale))
        sale.charged = sale.came = True
        self.move(("rail_fee:sandbox", -fee), ("cash:sandbox", fee))
        if wanted:
            self.sell(sale, now)
        else:
            self.move(("cash:sandbox", -sale.amount), ("refunds_clearing", sale.amount))
            sale.refunded, sale.state = sale.amount, "refunded"
            self.refunds.append(Refund(name, sale.amount))

    def dispute(self, name: str, claimed: int) -> None:
        """The payer's bank takes back so much in all, or gives some of that again."""
        sale = self.sales[name]
        more, sale.claimed, sale.disputed = claimed - sale.disputed, claimed, claimed
        if more > 0:
            self.take(sale, more, "cash:sandbox")
        elif more < 0:
            self.give_again(sale, -more)
        sale.state = standing(sale)

    def give_again(self, sale: Sale, amount: int) -> None:
        """What was taken for a dispute that is won comes back to those it was taken from."""
        back = [part.back for part in sale.parts]
        shared = min(amount, sum(back))
        given = in_proportion(shared, back)
        pending = sale.settle_at is not None
        legs = [leg for part, n in zip(sale.parts, given, strict=True) for leg in self.giving(part, n, pending=pending)]
        self.move(("cash:sandbox", -amount), ("platform_fee", amount - shared), *legs)
        for part, one in zip(sale.parts, given, strict=True):
            part.back -= one

    def ask_refunds(self) -> None:
        """The bank gives back what it was asked to, where so much is left of the payment."""
        for one in self.refunds:
            sale = self.sales[one.sale]
            if one.state != "asked":
                continue
            if one.amount <= sale.amount - sale.returned - sale.claimed:
                sale.returned += one.amount
            elif sale.returned < sale.refunded:
                one.state = "failed"
                continue
            one.state = "done"
            self.move(("refunds_clearing", -one.amount), ("cash:sandbox", one.amount))

    def settle(self, now: datetime) -> None:
        """Earnings that were pending for long enough are available; what their owners owe is paid first."""
        due = [one for one in self.sales.values() if one.settle_at is not None and one.settle_at <= now]
        for sale in sorted(due, key=lambda one: one.settle_at or now):
            sale.settle_at = None
            for part in sale.parts:
                if part.kind == "earnings":
                    left = part.amount - part.back
                    self.move((f"earnings_pending:{part.owner}", -left), *self.giving(part, left, pending=False))

    def transfer(self, giver: str, taker: str, amount: int) -> None:
        """From wallet to wallet."""
        if amount < 100:
            raise Refusal("transfer-too-small")
        if giver == taker:
            raise Refusal("transfer-to-oneself")
        self.move((f"wallet:{giver}", -amount), (f"wallet:{taker}", amount))

    def withdraw(self, name: str, seller: str, amount: int, now: datetime) -> str:
        """Earnings begin to leave; their state."""
        if amount < MINIMUM:
            raise Refusal("withdrawal-too-small")
        self.move((f"earnings:{seller}", -amount), (f"payout_in_transit:{seller}", amount))
        state = "approved" if amount <= AUTO else "requested"
        self.leaving[name] = Leaving(seller, amount, state, now + HELD_FOR)
        return state

    def decide(self, name: str, what: str, now: datetime) -> str:
        """Approve, reject or pay what leaves, or take what came back; its state. Who owes something gets it back."""
        one = self.leaving[name]
        allowed = {"approved": ["requested"], "paid": ["approved"], "returned": ["requested", "approved", "paid"]}
        if one.state not in allowed.get(what, ["requested", "approved"]):
            raise Refusal(f"withdrawal-{one.state}")
        if what == "paid" and now < one.due_at:
            raise Refusal("withdrawal-not-due")
        owes = what == "approved" and self.has(f"receivable:{one.seller}") < 0
        what = "rejected" if owes or (what == "returned" and one.state != "paid") else what
        away = ("cash:bank" if what == "returned" else f"payout_in_transit:{one.seller}", -one.amount)
        one.state = what
        if what == "paid":
            self.move(away, ("cash:bank", one.amount))
        elif what != "approved":
            self.move(away, *self.giving(Part("earnings", one.seller, one.amount), one.amount, pending=False))
        return what

    def buy_card(self, name: str, payer: str, amount: int) -> None:
        """Money from a wallet onto a gift card."""
        self.move((f"wallet:{payer}", -amount), ("giftcards", amount))
        self.cards[name] = amount

    def redeem(self, name: str, by: str) -> int:
        """And from there to a wallet, once."""
        amount = self.cards[name]
        if not amount:
            raise Refusal("gift-card-used")
        self.cards[name] = 0
        self.move(("giftcards", -amount), (f"wallet:{by}", amount))
        return amount

    def set_aside(self, name: str, hold: Held) -> None:
        """Hold a piece of a wallet."""
        code = f"wallet:{hold.owner}"
        if self.free(code) < hold.amount:
            raise Refusal("insufficient")
        self.held[code] = self.held.get(code, 0) + hold.amount
        self.holds[name] = hold

    def expire(self, now: datetime) -> None:
        """What is over is free again."""
        for hold in self.holds.values():
            if hold.open and hold.ends <= now:
                hold.open = False
                self.held[f"wallet:{hold.owner}"] -= hold.amount


def home(part: Part, *, pending: bool) -> str:
    """The account on which a part lies."""
    if part.kind == "earnings":
        return f"earnings_pending:{part.owner}" if pending else f"earnings:{part.owner}"
    return f"wallet:{part.owner}" if part.kind == "wallet" else "platform_fee"


def standing(sale: Sale) -> str:
    """The state of what was paid, after what was taken back of it."""
    if sale.disputed:
        return "disputed"
    return "refunded" if sale.refunded and sale.refunded >= sale.amount else "paid"


def same(older: Sale, asked: Sale) -> bool:
    """Whether a second click is about the payment that is open."""
    facts = [(one.payer, one.coupon, one.amount, one.rail) for one in (older, asked)]
    return facts[0] == facts[1] and asked.opened < older.opened + OPEN_FOR


def in_proportion(amount: int, weights: Sequence[int]) -> list[int]:
    """An amount by weight: each share rounded down, then a unit more for the largest fractions, of equal ones first."""
    whole = sum(weights) or 1
    exact = [Fraction(amount * weight, whole) for weight in weights]
    found = [int(one) for one in exact]
    by_rest = sorted(range(len(weights)), key=lambda n: (found[n] - exact[n], n))
    for n in by_rest[: amount - sum(found)]:
        found[n] += 1
    return found
