"""Reconciliation as values: reports, what is booked of a payment, how the provider's word differs from that. Pure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from gateway.control.payments.providers.base import Charge, Listed, PaidOut

Kind = Literal[
    "charged-not-booked",
    "booked-not-charged",
    "amount",
    "fee",
    "passed-on",
    "refund-not-booked",
    "refund-not-made",
    "dispute",
    "payout-not-booked",
    "payout-not-made",
    "right-missing",
    "right-left",
    "ledger",
]
ReportState = Literal["asked", "done", "failed"]

#: Without it nothing is reconciled.
FLAG = "recon.enabled"
#: What each kind means, and what a person does about it.
WORDS: Mapping[Kind, str] = {
    "charged-not-booked": "The provider was paid and nothing is booked. Send its webhook again there, or give the "
    "money back; a payment that nobody began here was made past Usher.",
    "booked-not-charged": "It is booked as paid and the provider has no such payment. Give the purchase back, and find "
    "out who booked it.",
    "amount": "Booked is another amount than was paid. Compare the payment at the provider with the movement, and book "
    "the rest.",
    "fee": "The provider kept another fee than is booked. It is booked when the provider tells of the payment again; "
    "send its webhook again.",
    "passed-on": "With the seller's own account at the provider lies another amount of this payment than is booked. "
    "Compare the payment's fee, refunds and reversals there, and settle the rest with the seller.",
    "refund-not-booked": "The provider gave money back and that is not booked. Send its webhook again.",
    "refund-not-made": "Here it was given back, at the provider it was not. See why the refund failed, then let it be "
    "asked for again.",
    "dispute": "A dispute stands at the provider in another amount than is booked. Send its webhook again.",
    "payout-not-booked": "The provider paid a withdrawal that is not booked as paid. The worker finds it when it asks "
    "next; if it was returned here, take it back there.",
    "payout-not-made": "A withdrawal is booked as paid and the provider did not pay it, or took it back. Ask the "
    "provider, and pay the seller again by hand.",
    "right-missing": "It is paid and its viewer has no right. Let them watch by a grant, or give the purchase back.",
    "right-left": "It was taken back whole and its right stands. Revoke it.",
    "ledger": "The ledger does not bear itself out: `usher ledger audit` says where.",
}
#: A refund that the provider was asked for this long ago should be done.
PATIENCE = timedelta(days=1)
#: What happened just before is left to the next run: its webhook may be on its way.
GRACE = timedelta(hours=1)
#: The night's own reaches back so far, so that one that was missed is made up for.
REACH = timedelta(days=3)
#: The hour (UTC) from which on the night's own runs.
HOUR = 3
#: Differences kept with a report; all are counted.
KEPT = 500
#: Reports of a page.
PAGE = 30


class Booked(msgspec.Struct, frozen=True, kw_only=True):
    """What is booked of a purchase by a provider. `fee` is in `fee_currency`; `passed_on` lies with the seller's own
    account there. `asked` and `stuck`: refunds that may be on their way, and those that should be done; `reversing`:
    what may be on its way back from that account. `given_back`: it came and was not wanted. `refunds`: how many.
    """

    purchase: str
    provider_ref: str | None
    amount: int
    currency: str
    charged: int
    refunded: int
    disputed: int
    fee: int
    fee_currency: str | None
    passed_on: int
    asked: int
    stuck: int
    reversing: int
    refunds: int
    given_back: bool


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A withdrawal that a provider pays; `paid`: it is booked as that."""

    id: str
    amount: int
    currency: str
    paid: bool


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """Something that the books say (`ours`) and a provider does not (`theirs`). `ref` is the provider's name of it,
    or where in the ledger; `purchase` what was bought, or the withdrawal.
    """

    kind: Kind
    rail: str = ""
    ref: str = ""
    purchase: str = ""
    currency: str = ""
    ours: int | str = 0
    theirs: int | str = 0


class DifferenceView(Difference, frozen=True, kw_only=True):
    """A difference with what to do about it."""

    words: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What a run looked at, and what differs."""

    charges: int = 0
    purchases: int = 0
    postings: int = 0
    differences: Sequence[Difference] = ()


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `counts`: differences by kind; `words`: why it failed, or is tried again."""

    id: str
    actor: str
    since: datetime
    until: datetime
    state: ReportState
    words: str
    created_at: datetime
    finished_at: datetime | None
    tries: int
    charges: int
    purchases: int
    postings: int
    counts: dict[str, int]


class FullReport(Report, frozen=True, kw_only=True):
    """A run with what differs."""

    differences: list[DifferenceView]


class Reports(msgspec.Struct, frozen=True):
    """Runs, the newest first. `is_on`: nothing is compared, by night or on request, while it is false."""

    items: list[Report]
    is_on: bool


class Asking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which days to look at; without them the last three."""

    since: datetime | None = None
    until: datetime | None = None


class Last(msgspec.Struct, frozen=True):
    """How the last run that finished ended, and since when there are runs."""

    counts: dict[str, int]
    finished_at: datetime | None
    began_at: datetime | None


class ReconRows(Protocol):
    """What the actions ask of storage."""

    async def ask(self, report: Report, *, day: str | None) -> bool: ...
    async def due(self, now: datetime) -> Report | None: ...
    async def by_id(self, id: str) -> Report | None: ...
    async def differences(self, id: str) -> list[Difference]: ...
    async def newest(self, limit: int) -> list[Report]: ...
    async def last(self) -> Last: ...
    async def put_off(self, id: str, until: datetime, *, words: str) -> None: ...
    async def finish(self, report: Report, differences: Sequence[Difference]) -> None: ...
    async def purchases(self, rail: str, span: tuple[datetime, datetime], /, listed: Sequence[Listed]) -> list[str]: ...
    async def booked(self, purchases: Sequence[str], *, asked_since: datetime) -> list[Booked]: ...
    async def drawn(self, rail: str, span: tuple[datetime, datetime], /, ids: Sequence[str]) -> list[Drawn]: ...
    async def rights_missing(self, since: datetime, until: datetime) -> list[str]: ...
    async def rights_left(self, since: datetime, until: datetime) -> list[str]: ...


class Source(Protocol):
    """The part of a provider that is asked."""

    def listed(self, since: datetime, until: datetime) -> AsyncIterator[Listed]: ...


def compare(rail: str, listed: Listed | None, booked: Booked | None) -> list[Difference]:
    """How a payment differs from what is booked of it. `listed` is None for one that the provider does not know."""
    charge = listed.charge if listed else None
    is_paid = charge is not None and charge.state == "paid"

    def differ(kind: Kind, ours: int, theirs: int, *, currency: str = "") -> Difference:
        return Difference(
            kind=kind,
            rail=rail,
            ref=charge.provider_ref if charge else (booked.provider_ref or "") if booked else "",
            purchase=booked.purchase if booked else charge.order if charge else "",
            currency=currency or (charge.currency if charge else booked.currency if booked else ""),
            ours=ours,
            theirs=theirs,
        )

    if booked is None or not booked.charged:
        return [differ("charged-not-booked", 0, charge.amount)] if charge is not None and is_paid else []
    if listed is None or charge is None or not is_paid:
        return [differ("booked-not-charged", booked.charged, 0)]
    found = []
    if booked.given_back:
        ours, theirs = booked.charged - booked.refunded, charge.amount - charge.refunded - charge.disputed
        if booked.stuck and theirs:
            found.append(differ("refund-not-made", 0, theirs))
        elif ours != theirs and ours - theirs != booked.asked:
            found.append(differ("amount", ours, theirs))
    else:
        if (booked.charged, booked.currency) != (charge.amount, charge.currency):
            found.append(differ("amount", booked.charged, charge.amount))
        gap = charge.refunded - booked.refunded
        if gap < booked.stuck:
            found.append(differ("refund-not-made", booked.refunded + booked.stuck, charge.refunded))
        elif gap > booked.asked:
            found.append(differ("refund-not-booked", booked.refunded, charge.refunded))
        if booked.disputed != charge.disputed:
            found.append(differ("dispute", booked.disputed, charge.disputed))
        passed_on = listed.passed_on - charge.reversed
        if _has_come_to_rest(charge, booked) and abs(booked.passed_on - passed_on) > booked.refunds:
            found.append(differ("passed-on", booked.passed_on, passed_on))
    if booked.fee != charge.fee or (charge.fee and booked.fee_currency != charge.fee_currency):
        found.append(differ("fee", booked.fee, charge.fee, currency=charge.fee_currency))
    return found


def _has_come_to_rest(charge: Charge, booked: Booked) -> bool:
    """Whether what lies with the seller can be compared; then a unit a refund may be the provider's own rounding."""
    is_moving = booked.asked or booked.stuck or booked.reversing
    return not is_moving and (booked.refunded, booked.disputed) == (charge.refunded, charge.disputed)


def compare_payout(rail: str, drawn: Drawn | None, paid: PaidOut | None) -> list[Difference]:
    """How a payout differs from the withdrawal it is for."""
    ours = drawn.amount if drawn and drawn.paid else 0
    theirs = paid.amount if paid else 0
    if ours == theirs:
        return []
    known = drawn or paid
    return [
        Difference(
            kind="payout-not-booked" if theirs > ours else "payout-not-made",
            rail=rail,
            ref=paid.rail_ref if paid else "",
            purchase=known.id if known else "",
            currency=known.currency if known else "",
            ours=ours,
            theirs=theirs,
        )
    ]


def counts(differences: Sequence[Difference]) -> dict[str, int]:
    """How many there are of each kind."""
    kinds = [one.kind for one in differences]
    return {kind: kinds.count(kind) for kind in WORDS if kind in kinds}


def view(difference: Difference) -> DifferenceView:
    """With what to do about it."""
    return DifferenceView(**msgspec.structs.asdict(difference), words=WORDS[difference.kind])


def night(now: datetime) -> tuple[str, datetime, datetime] | None:
    """The day of the night's own run and the time it covers; None before its hour."""
    if now.hour < HOUR:
        return None
    until = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return until.date().isoformat(), until - REACH, until
