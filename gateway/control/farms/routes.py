"""Routes of the farm, for operators."""

from __future__ import annotations

from gateway.control.farms import actions
from gateway.control.farms.model import FarmView, JobLines, JobPieces, Marked, Order, Which
from gateway.control.limits import POLL, READ, WRITE
from gateway.control.route import Call, Route


async def read_farm(call: Call[None]) -> FarmView:
    """The workers that were heard of lately, and what waits and runs."""
    heard = await actions.hear(by=call.principal, needs=call.wiring["needs"])
    async with call.wiring["begin"]() as unit:
        return await actions.status(heard, farms=unit.farms)


async def list_farm_jobs(call: Call[None]) -> JobLines:
    """Jobs of all sellers: those under way, or with `state=over` those that failed or were cancelled."""
    which: Which = "over" if call.query("state") == "over" else "open"
    async with call.wiring["begin"]() as unit:
        return await actions.jobs(which, by=call.principal, farms=unit.farms)


async def read_farm_job(call: Call[None]) -> JobPieces:
    """A job piece by piece: what is done, who is at what, what failed or was lost."""
    at = await actions.at_work(by=call.principal, needs=call.wiring["needs"])
    async with call.wiring["begin"]() as unit:
        return await actions.show(call.path("job"), at, by=call.principal, farms=unit.farms, pieces=unit.jobs)


async def mark_worker(call: Call[Order]) -> Marked:
    """Let a worker take nothing more, leave once it is idle, or work on."""
    async with call.wiring["begin"]() as unit:
        return await actions.mark(
            call.path("worker"),
            call.body,
            by=call.principal,
            place=call.place,
            needs=call.wiring["needs"],
            outbox=unit.outbox,
        )


ROUTES: list[Route] = [
    Route("GET", "/v1/farm", read_farm, limit=POLL, problems=(403,)),
    Route(
        "GET",
        "/v1/farm/jobs",
        list_farm_jobs,
        limit=READ,
        query={"state": "`over`: those that failed or were cancelled; without it those under way"},
        problems=(403,),
    ),
    Route("GET", "/v1/farm/jobs/{job}", read_farm_job, limit=POLL, problems=(403,)),
    Route("PUT", "/v1/farm/workers/{worker}", mark_worker, limit=WRITE),
]
