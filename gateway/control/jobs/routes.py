"""Routes of jobs: how far they are, by GET and as a stream, retry and cancel."""

from __future__ import annotations

from functools import partial

from starlette.responses import Response

from gateway.control.jobs import actions
from gateway.control.jobs.model import OVER, Job, JobList, JobView
from gateway.control.limits import POLL, READ, WRITE
from gateway.control.route import Call, Route


async def list_jobs(call: Call[None]) -> JobList:
    """The jobs of a title, newest first."""
    async with call.wiring["begin"]() as unit:
        found = await actions.of_title(call.path("title"), by=call.principal, jobs=unit.jobs, titles=unit.catalogue)
        pieces = await unit.jobs.pieces([job.id for job in found])
    return JobList(await actions.show(found, pieces, leases=call.wiring["leases"]))


async def read_job(call: Call[None]) -> JobView:
    """A job and how far each rendition is."""
    async with call.wiring["begin"]() as unit:
        job = await actions.find(call.path("job"), "job:read", by=call.principal, jobs=unit.jobs)
    return await _show(call, job)


async def cancel_job(call: Call[None]) -> JobView:
    """Stop a job; what is done of it is kept for a retry."""
    async with call.wiring["begin"]() as unit:
        job = await actions.cancel(
            call.path("job"),
            by=call.principal,
            jobs=unit.jobs,
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )
    await call.wiring["leases"].stop([job.id])
    return await _show(call, job)


async def retry_job(call: Call[None]) -> JobView:
    """A new job for the same master; chunks that were done are not made again."""
    async with call.wiring["begin"]() as unit:
        job = await actions.retry(
            call.path("job"),
            by=call.principal,
            jobs=unit.jobs,
            titles=unit.catalogue,
            outbox=unit.outbox,
            clock=call.wiring["clock"],
        )
    return await _show(call, job)


async def follow_job(call: Call[None]) -> Response:
    """Server-sent events: the job whenever it changes, until it is over."""
    streams, about = call.wiring["streams"], call.request.url.path
    return await streams.follow(
        "job", partial(read_job, call), by=call.principal.id, about=about, is_over=lambda view: view.state in OVER
    )


async def _show(call: Call[None], job: Job) -> JobView:
    async with call.wiring["begin"]() as unit:
        pieces = await unit.jobs.pieces([job.id])
    return (await actions.show([job], pieces, leases=call.wiring["leases"]))[0]


ROUTES: list[Route] = [
    Route("GET", "/v1/titles/{title}/jobs", list_jobs, limit=READ),
    Route("GET", "/v1/jobs/{job}", read_job, limit=POLL),
    Route("GET", "/v1/jobs/{job}/events", follow_job, limit=READ, stream=True),
    Route("POST", "/v1/jobs/{job}/cancel", cancel_job, limit=WRITE, problems=(409,)),
    Route("POST", "/v1/jobs/{job}/retry", retry_job, limit=WRITE, problems=(409,)),
]
