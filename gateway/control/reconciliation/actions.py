"""What is done to reconcile: ask for it, compare what providers list with what is booked, keep and show the report."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

import msgspec
from msgspec.structs import replace

from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.ledger import actions as ledger
from gateway.control.ledger.model import Ledger
from gateway.control.outbox import Outbox
from gateway.control.payments.providers.base import Listed, Payer, Provider
from gateway.control.payments.providers.open import Providers
from gateway.control.reconciliation.model import (
    GRACE,
    KEPT,
    PAGE,
    PATIENCE,
    REACH,
    Asking,
    Booked,
    Difference,
    Findings,
    FullReport,
    Last,
    ReconRows,
    Report,
    Reports,
    compare,
    compare_payout,
    counts,
    night,
    view,
)
from shared import log
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound, UsherError
from shared.ids import new_id
from shared.metrics import ERRORS
from shared.money import to_json

#: Whose runs the nights' own are.
WORKER = "worker"
#: Wait until a provider that did not answer is asked again, doubled each time; after so many tries it failed.
FIRST_S, TRIES = 60, 8


class Stores(Protocol):
    """One transaction."""

    @property
    def recon(self) -> ReconRows: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def outbox(self) -> Outbox: ...


async def ask(asked: Asking, *, by: Principal, is_on: bool, unit: Stores, clock: Clock) -> Report:
    """Let the worker reconcile a period; without one the last three days, up to an hour ago.

    Raises Forbidden, Invalid for a period that is none or not over, Conflict while the flag is off.
    """
    require(by, "recon:run")
    if not is_on:
        raise Conflict("Reconciliation is switched off: `usher flag set recon.enabled on`.", code="recon-off")
    now = clock.now()
    until = asked.until or now - GRACE
    since = asked.since or until - REACH
    if since.tzinfo is None or until.tzinfo is None or not since < until <= now:
        raise Invalid("Give a period that is over, its begin before its end, both with their time zone.")
    report = _new(by.id, since, until, now=now)
    await unit.recon.ask(report, day=None)
    period = {"since": since.isoformat(), "until": until.isoformat()}
    await unit.outbox.audit(by.id, "recon:run", report.id, after=period, place=by.place)
    return report


async def ask_nightly(*, begin: Begin[Stores], clock: Clock) -> bool:
    """Ask for the night's own run, once a day however many workers there are; whether it is new."""
    now = clock.now()
    if (due := night(now)) is None:
        return False
    day, since, until = due
    async with begin() as unit:
        return await unit.recon.ask(_new(WORKER, since, until, now=now), day=day)


async def run_due(*, providers: Providers, begin: Begin[Stores], clock: Clock) -> Report | None:
    """Do the run that waits longest and keep its report; None when none waits.

    Nothing is written until it is through, so one that is killed is done again from the start.
    """
    async with begin() as unit:
        report = await unit.recon.due(clock.now())
    if report is None:
        return None
    try:
        found = await reconcile(report.since, report.until, providers=providers, begin=begin, clock=clock)
    except UsherError as error:
        return await _put_off(report, str(error), begin=begin, clock=clock)
    except Exception as error:  # whatever it is, the runs behind this one must not wait for it
        ERRORS.labels("worker").inc()
        return await _put_off(report, f"It went wrong: {type(error).__name__}.", begin=begin, clock=clock)
    done = replace(
        report,
        state="done",
        finished_at=clock.now(),
        charges=found.charges,
        purchases=found.purchases,
        postings=found.postings,
        counts=counts(found.differences),
    )
    async with begin() as unit:
        await unit.recon.finish(done, found.differences[:KEPT])
        told = {"report": done.id, "differences": len(found.differences)}
        await unit.outbox.emit("recon.finished", done.id, **told)
    log.get("recon").info("reconciled", report=done.id, differences=len(found.differences), **done.counts)
    return done


async def reconcile(
    since: datetime, until: datetime, *, providers: Providers, begin: Begin[Stores], clock: Clock
) -> Findings:
    """Compare all providers, the rights of what was paid, and the ledger with itself. Changes nothing.

    Raises ProviderUnavailable: without one's word there is nothing to compare.
    """
    findings = Findings()
    for provider in providers.by_name.values():
        found = await _payments(provider, since, until, begin=begin, clock=clock)
        findings = _joined(findings, found)
        if isinstance(provider, Payer):
            paid = await _payouts(provider.name, provider, (since, until), begin=begin)
            findings = _joined(findings, Findings(differences=paid))
    async with begin() as unit:
        missing = await unit.recon.rights_missing(since, until)
        left = await unit.recon.rights_left(since, until)
    rights = [Difference(kind="right-missing", purchase=id) for id in missing]
    rights += [Difference(kind="right-left", purchase=id) for id in left]
    audit = await ledger.audit(begin=begin)
    books = [
        Difference(
            kind="ledger",
            ref=f"{one.what} {one.where}".strip(),
            currency=one.asset,
            ours=to_json(one.kept),
            theirs=to_json(one.derived),
        )
        for one in audit.differences
    ]
    return _joined(findings, Findings(postings=audit.postings, differences=[*rights, *books]))


async def reports(*, by: Principal, is_on: bool, recon: ReconRows) -> Reports:
    """The last runs. Raises Forbidden."""
    require(by, "recon:read")
    return Reports(await recon.newest(PAGE), is_on)


async def read(id: str, *, by: Principal, recon: ReconRows) -> FullReport:
    """A run with what differs. Raises Forbidden, NotFound."""
    require(by, "recon:read")
    found = await recon.by_id(id)
    if found is None:
        raise NotFound("There is no such report.")
    differences = [view(one) for one in await recon.differences(id)]
    return FullReport(**msgspec.structs.asdict(found), differences=differences)


async def last(*, recon: ReconRows) -> Last:
    """How the last run that finished ended."""
    return await recon.last()


async def _payments(
    provider: Provider, since: datetime, until: datetime, /, *, begin: Begin[Stores], clock: Clock
) -> Findings:
    listed = [one async for one in provider.listed(since, until)]
    by_order = {one.charge.order: one for one in listed if one.charge.order}
    by_ref = {one.charge.provider_ref: one for one in listed}
    async with begin() as unit:
        ids = await unit.recon.purchases(provider.name, (since, until), listed)
        booked = await unit.recon.booked(ids, asked_since=clock.now() - PATIENCE)
    suspects: list[tuple[Listed | None, Booked | None]] = []
    met: set[str] = set()
    for one in booked:
        theirs = by_order.get(one.purchase) or by_ref.get(one.provider_ref or "")
        met |= {theirs.charge.provider_ref} if theirs else set()
        if compare(provider.name, theirs, one):
            suspects.append((theirs, one))
    suspects += [(one, None) for one in listed if one.charge.provider_ref not in met]
    differences = []
    for theirs, ours in suspects:
        differences += await _again(provider, theirs, ours, begin=begin, clock=clock)
    return Findings(charges=len(listed), purchases=len(booked), differences=differences)


async def _again(
    provider: Provider, listed: Listed | None, booked: Booked | None, /, *, begin: Begin[Stores], clock: Clock
) -> list[Difference]:
    """Look at a payment once more by itself: it may lie just outside of the period, or was moving."""
    if booked is not None:
        async with begin() as unit:
            found = await unit.recon.booked([booked.purchase], asked_since=clock.now() - PATIENCE)
        booked = found[0] if found else None
    ref = listed.charge.provider_ref if listed else booked.provider_ref if booked else None
    if ref is not None and (listed is None or booked is not None):
        try:
            charge = await provider.find(ref)
        except NotFound:
            listed = None
        else:
            passed_on = listed.passed_on if listed else booked.passed_on if booked else 0
            listed = Listed(charge=charge, passed_on=passed_on)
    return compare(provider.name, listed, booked)


async def _payouts(
    rail: str, payer: Payer, span: tuple[datetime, datetime], /, *, begin: Begin[Stores]
) -> list[Difference]:
    listed = {one.id: one async for one in payer.payouts(*span)}
    async with begin() as unit:
        drawn = {one.id: one for one in await unit.recon.drawn(rail, span, list(listed))}
    differences = []
    for id in sorted(drawn.keys() | listed.keys()):
        paid = listed.get(id) or await payer.payout(id)
        differences += compare_payout(rail, drawn.get(id), paid)
    return differences


async def _put_off(report: Report, words: str, *, begin: Begin[Stores], clock: Clock) -> Report:
    now = clock.now()
    log.get("recon").warning("put off", report=report.id, reason=words, tries=report.tries + 1)
    async with begin() as unit:
        if report.tries + 1 >= TRIES:
            failed = replace(report, state="failed", words=words, finished_at=now)
            await unit.recon.finish(failed, [])
            return failed
        await unit.recon.put_off(report.id, now + timedelta(seconds=FIRST_S << report.tries), words=words)
    return replace(report, words=words, tries=report.tries + 1)


def _joined(one: Findings, other: Findings) -> Findings:
    return Findings(
        charges=one.charges + other.charges,
        purchases=one.purchases + other.purchases,
        postings=one.postings + other.postings,
        differences=[*one.differences, *other.differences],
    )


def _new(actor: str, since: datetime, until: datetime, *, now: datetime) -> Report:
    return Report(
        id=new_id("rec"),
        actor=actor,
        since=since,
        until=until,
        state="asked",
        words="",
        created_at=now,
        finished_at=None,
        tries=0,
        charges=0,
        purchases=0,
        postings=0,
        counts={},
    )
