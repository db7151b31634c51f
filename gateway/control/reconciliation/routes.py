"""Routes of reconciliation: ask for a run, look at reports."""

from __future__ import annotations

from gateway.control.limits import POLL, READ, WRITE
from gateway.control.reconciliation import actions
from gateway.control.reconciliation.model import FLAG, Asking, FullReport, Report, Reports
from gateway.control.route import Call, Route


async def ask_reconciliation(call: Call[Asking]) -> Report:
    """Let the worker compare the books with what payment providers say of a period."""
    is_on = await call.wiring["flags"].flag(FLAG)
    async with call.wiring["begin"]() as unit:
        return await actions.ask(call.body, by=call.principal, is_on=is_on, unit=unit, clock=call.wiring["clock"])


async def list_reconciliations(call: Call[None]) -> Reports:
    """The last runs, the newest first."""
    is_on = await call.wiring["flags"].flag(FLAG)
    async with call.wiring["begin"]() as unit:
        return await actions.reports(by=call.principal, is_on=is_on, recon=unit.recon)


async def read_reconciliation(call: Call[None]) -> FullReport:
    """A run: what it looked at, what differs, and what to do about it."""
    async with call.wiring["begin"]() as unit:
        return await actions.read(call.path("report"), by=call.principal, recon=unit.recon)


PATH = "/v1/reconciliations"
ROUTES: list[Route] = [
    Route("POST", PATH, ask_reconciliation, limit=WRITE, status=202, problems=(409,)),
    Route("GET", PATH, list_reconciliations, limit=READ, problems=(403,)),
    Route("GET", f"{PATH}/{{report}}", read_reconciliation, limit=POLL, problems=(403,)),
]
