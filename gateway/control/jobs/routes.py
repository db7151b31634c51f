"""Routes of jobs: how far they are, by GET and as a stream, retry and cancel."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
from starlette.responses import Response, StreamingResponse

from gateway.control.jobs import actions
from gateway.control.jobs.model import OVER, Job, JobList, JobView
from gateway.control.limits import POLL, READ, WRITE
from gateway.control.route import Call, Route
from shared.errors import UsherError

#: Seconds between two looks at the row, and between two signs of life on a stream where nothing changes.
LOOK_S, HEARTBEAT_S = 0.5, 15.0
#: A stream ends after this long; browsers come back by themselves, and their session is checked anew.
STREAM_S = 600.0


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
    first = await read_job(call)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(_stream(call, first), media_type="text/event-stream", headers=headers)


async def _stream(call: Call[None], view: JobView) -> AsyncIterator[bytes]:
    yield b"retry: 2000\n\n" + _event(view)
    quiet_s = lived_s = 0.0
    while view.state not in OVER and lived_s < STREAM_S and not await call.request.is_disconnected():
        await asyncio.sleep(LOOK_S)
        quiet_s, lived_s = quiet_s + LOOK_S, lived_s + LOOK_S
        try:
            now = await read_job(call)
        except UsherError:  # the stream has begun, so no problem can be answered: the browser asks again
            return
        if now != view:
            view, quiet_s = now, 0.0
            yield _event(view)
        elif quiet_s >= HEARTBEAT_S:
            quiet_s = 0.0
            yield b": still here\n\n"


def _event(view: JobView) -> bytes:
    return b"event: job\ndata: " + msgspec.json.encode(view) + b"\n\n"


async def _show(call: Call[None], job: Job) -> JobView:
    async with call.wiring["begin"]() as unit:
        pieces = await unit.jobs.pieces([job.id])
    return (await actions.show([job], pieces, leases=call.wiring["leases"]))[0]


ROUTES: list[Route] = [
    Route(method="GET", path="/v1/titles/{title}/jobs", handler=list_jobs, limit=READ, returns=JobList),
    Route(method="GET", path="/v1/jobs/{job}", handler=read_job, limit=POLL, returns=JobView),
    Route(method="GET", path="/v1/jobs/{job}/events", handler=follow_job, limit=READ, stream=True),
    Route(
        method="POST", path="/v1/jobs/{job}/cancel", handler=cancel_job, limit=WRITE, returns=JobView, problems=(409,)
    ),
    Route(method="POST", path="/v1/jobs/{job}/retry", handler=retry_job, limit=WRITE, returns=JobView, problems=(409,)),
]
