"""Routes of payout runs, for who pays sellers."""

from __future__ import annotations

from starlette.responses import Response

from gateway.control.limits import READ, WRITE
from gateway.control.payouts import actions
from gateway.control.payouts.model import FullRun, Runs
from gateway.control.route import Call, Route
from gateway.control.wallet.withdrawals import PaidOut


async def list_payout_runs(call: Call[None]) -> Runs:
    """The last runs, the newest first."""
    async with call.wiring["begin"]() as unit:
        return await actions.runs(by=call.principal, payouts=unit.payouts)


async def read_payout_run(call: Call[None]) -> FullRun:
    """A run with its withdrawals."""
    async with call.wiring["begin"]() as unit:
        return await actions.read(call.path("run"), by=call.principal, unit=unit)


async def export_payout_run(call: Call[None]) -> Response:
    """The withdrawals of a run as CSV, to pay them by hand."""
    run = call.path("run")
    async with call.wiring["begin"]() as unit:
        text = await actions.as_csv(run, by=call.principal, place=call.place, unit=unit)
    headers = {"Content-Disposition": f'attachment; filename="{run}.csv"', "Cache-Control": "no-store"}
    return Response(text, headers=headers, media_type="text/csv")


async def complete_payout_run(call: Call[PaidOut]) -> FullRun:
    """Say that all that is left of a run was paid by hand, and how the bank calls that."""
    unit = await call.unit()
    return await actions.complete(
        call.path("run"),
        call.body.rail_ref,
        by=call.principal,
        unit=unit,
        clock=call.wiring["clock"],
    )


PATH = "/v1/payouts"
ROUTES: list[Route] = [
    Route("GET", PATH, list_payout_runs, limit=READ, problems=(403,)),
    Route("GET", f"{PATH}/{{run}}", read_payout_run, limit=READ, problems=(403,)),
    Route("GET", f"{PATH}/{{run}}/items.csv", export_payout_run, limit=READ, stream=True, problems=(403,)),
    Route("POST", f"{PATH}/{{run}}/complete", complete_payout_run, limit=WRITE, tag="value", idempotent=True),
]
