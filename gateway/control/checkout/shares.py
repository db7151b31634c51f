"""What is paid, shared out: to the platform, a title's seller and its partners; and the same taken back. Pure.

Legs are those of one movement: an amount is positive where what the account is owed grows (`ledger/model.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec
from msgspec.structs import replace

from gateway.control.ledger.model import Leg, account
from shared.errors import Invalid
from shared.money import Share, fee_minor, split

#: All of what the fee leaves, in basis points.
WHOLE_BP = 10_000

#: `external`: the rail paid it out to the seller itself, so it is told in statements and cannot be withdrawn.
PartKind = Literal["fee", "earnings", "external", "wallet"]


class Partner(msgspec.Struct, frozen=True):
    """A seller who gets `share_bp` basis points of what the platform's fee leaves of a title's sales."""

    seller: str
    share_bp: int


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What one gets of a payment. `to` is a seller or a principal, empty for the platform; `back` was taken back.

    `owed` of that was taken from what they have here, or is owed: their rail paid it out, and could not take it back.
    """

    n: int
    kind: PartKind
    to: str
    amount: int
    back: int = 0
    owed: int = 0

    @property
    def left(self) -> int:
        """What can still be taken back."""
        return self.amount - self.back


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """Where parts of one payment lie: its rail and currency, and whether earnings are pending still.

    `funds`: what may be spent of the accounts that a part may be taken from, below zero for what is owed. `owed`: what
    the rail paid out cannot be taken back there, so it is taken from what its owner has here.
    """

    rail: str
    currency: str
    pending: bool
    funds: Mapping[str, int] = {}
    owed: bool = False

    def home(self, part: Part) -> str:
        """The account a part lies on."""
        match part.kind:
            case "fee":
                return account("platform_fee")
            case "external":
                return account("earnings", part.to) if self.owed else account("external", self.rail, part.to)
            case "wallet":
                return account("wallet", part.to)
        return account("earnings_pending" if self.pending else "earnings", part.to)

    def debt(self, part: Part) -> str | None:
        """The account that says what is owed of a part; None for one that is always there to be taken."""
        match part.kind:
            case "wallet":
                is_spendable = True
            case "earnings":
                is_spendable = not self.pending
            case _:
                is_spendable = part.kind == "external" and self.owed
        return account("receivable", part.to) if is_spendable else None


def share_out(amount: int, fee_bp: int, seller: str, *, partners: Sequence[Partner] = ()) -> list[Part]:
    """The parts of a sale: the platform's fee, rounded down, then the seller and partners by their shares of the rest.

    Together the whole amount, by largest remainder. Raises Invalid for partners who get more than there is, one twice,
    or the seller among them.
    """
    given = sum(partner.share_bp for partner in partners)
    names = [seller, *(partner.seller for partner in partners)]
    if given > WHOLE_BP or any(partner.share_bp <= 0 for partner in partners):
        raise Invalid("Each partner's share is above 0, and together they are 100 % at most.")
    if seller in names[1:]:
        raise Invalid("The seller of a title cannot be its partner as well: what partners leave is the seller's.")
    if len(set(names)) < len(names):
        raise Invalid("A partner is named twice. Name each once, with one share.")
    shares = [Share(to="", bp=fee_bp), Share(to=seller, weight=WHOLE_BP - given)]
    shares += [Share(to=partner.seller, weight=partner.share_bp) for partner in partners]
    shares = [share for share in shares if share.bp or share.weight]
    return [
        Part(n=n, kind="earnings" if share.to else "fee", to=share.to, amount=part)
        for n, (share, part) in enumerate(zip(shares, split(amount, shares), strict=True))
    ]


def paid_out(parts: Sequence[Part], seller: str) -> list[Part]:
    """The same parts where the rail gives the seller's own at once."""
    return [replace(part, kind="external") if part.to == seller else part for part in parts]


def kept_here(parts: Sequence[Part], given: Sequence[int]) -> tuple[list[Part], list[int]]:
    """The same parts, and how much each is given again, where what a rail took back becomes earnings here.

    What is owed of a rail's part comes first: that was taken here, and lies with its owner still. Of the rest the rail
    gives no more, so that much is a part of its own from then on, behind the others.
    """
    kept, amounts, moved = list[Part](), list[int](), list[Part]()
    for part, amount in zip(parts, given, strict=True):
        if part.kind == "external" and amount > part.owed:
            more = amount - part.owed
            moved.append(replace(part, n=len(parts) + len(moved), kind="earnings", amount=more, back=more, owed=0))
            part, amount = replace(part, amount=part.amount - more, back=part.back - more), part.owed
        kept.append(part)
        amounts.append(amount)
    return [*kept, *moved], [*amounts, *(part.amount for part in moved)]


def refer(parts: Sequence[Part], referrer: str, bp: int) -> list[Part]:
    """The same parts where `bp` basis points of the platform's fee go to the wallet of who brought the buyer."""
    fee = sum(part.amount for part in parts if part.kind == "fee")
    credit = fee_minor(fee, bp)
    if not credit:
        return list(parts)
    less = [replace(part, amount=part.amount - credit) if part.kind == "fee" else part for part in parts]
    return [*less, Part(n=len(parts), kind="wallet", to=referrer, amount=credit)]


def unreferred(parts: Sequence[Part]) -> list[Part]:
    """The same parts where what was for who brought the buyer stays in the platform's fee."""
    fee = sum(part.amount for part in parts if part.kind in ("fee", "wallet"))
    amounts = {"fee": fee, "wallet": 0}
    return [replace(part, amount=amounts.get(part.kind, part.amount)) for part in parts]


def top_up(amount: int, principal: str) -> list[Part]:
    """All of a payment onto a wallet."""
    return [Part(n=0, kind="wallet", to=principal, amount=amount)]


def take_back(parts: Sequence[Part], amount: int) -> list[int]:
    """How much of an amount each part gives back: in proportion to what is left of it, so never more than that.

    Whatever the steps, taking all back takes from each what it got. Raises Invalid for more than is left of all.
    """
    if not 0 <= amount <= sum(part.left for part in parts):
        raise Invalid("No more can be taken back than was paid.")
    return _in_proportion(amount, [part.left for part in parts])


def give_again(parts: Sequence[Part], amount: int) -> list[int]:
    """How much of an amount each part gets again of what was taken from it. Raises Invalid for more than that."""
    if not 0 <= amount <= sum(part.back for part in parts):
        raise Invalid("No more can be given again than was taken back.")
    return _in_proportion(amount, [part.back for part in parts])


def giving(parts: Sequence[Part], amounts: Sequence[int], book: Book) -> list[Leg]:
    """Legs that give each part its amount; what its owner owes is paid first where the part could be spent."""
    legs, funds = [], dict(book.funds)
    for part, amount in zip(parts, amounts, strict=True):
        debt = book.debt(part)
        paid = min(amount, max(0, -funds.get(debt, 0))) if debt else 0
        if debt and paid:
            legs.append(Leg(debt, book.currency, paid))
            funds[debt] += paid
        legs.append(Leg(book.home(part), book.currency, amount - paid))
    return legs


def taking(parts: Sequence[Part], amounts: Sequence[int], book: Book) -> list[Leg]:
    """Legs that take an amount from each part; what is not there any more is owed from then on."""
    legs, funds = [], dict(book.funds)
    for part, amount in zip(parts, amounts, strict=True):
        home, debt = book.home(part), book.debt(part)
        there = amount if debt is None else min(amount, max(0, funds.get(home, 0)))
        legs.append(Leg(home, book.currency, -there))
        funds[home] = funds.get(home, 0) - there
        if debt and amount > there:
            legs.append(Leg(debt, book.currency, there - amount))
    return legs


def settling(parts: Sequence[Part], book: Book) -> list[Leg]:
    """Legs that make what is left of pending earnings available; what their owners owe is paid first."""
    due = [part for part in parts if part.kind == "earnings" and part.left]
    amounts = [part.left for part in due]
    settled = replace(book, pending=False)
    pending = replace(book, pending=True)
    return [*taking(due, amounts, pending), *giving(due, amounts, settled)]


def accounts_of(parts: Sequence[Part], book: Book) -> list[str]:
    """The accounts whose funds decide what `giving` and `taking` do."""
    return sorted({code for part in parts if (debt := book.debt(part)) for code in (book.home(part), debt)})


def after(parts: Sequence[Part], taken: Sequence[int], *, owed: bool = False) -> list[Part]:
    """The parts once that was taken back of each (below zero: given again); of what a rail paid out, here if `owed`."""
    return [
        replace(part, back=part.back + amount, owed=part.owed + (amount if owed and part.kind == "external" else 0))
        for part, amount in zip(parts, taken, strict=True)
    ]


def owe(parts: Sequence[Part], amount: int) -> list[Part]:
    """The parts once so much of what a rail was to take back was taken here instead.

    What became earnings here as the rail was to take it (`kept_here`) lies there after all.
    """
    there = next((part for part in parts if part.kind == "external"), None)
    if there is None:
        return list(parts)
    kept = list[Part]()
    left = amount
    for part in parts:
        if part.kind == "earnings" and part.to == there.to:
            moved = min(left, part.left)
            left -= moved
            there = replace(there, amount=there.amount + moved)
            part = replace(part, amount=part.amount - moved)
        kept.append(part)
    there = replace(there, owed=min(there.back, there.owed + left))
    return [there if part.kind == "external" else part for part in kept]


def _in_proportion(amount: int, weights: Sequence[int]) -> list[int]:
    shares = [Share(to=str(n), weight=weight) for n, weight in enumerate(weights) if weight]
    found = {share.to: part for share, part in zip(shares, split(amount, shares), strict=True)} if amount else {}
    return [found.get(str(n), 0) for n in range(len(weights))]
