"""What got lost, found by comparing rows with markers and leases."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from gateway.control.catalogue.model import Titles
from gateway.control.jobs.actions.misfits import weigh
from gateway.control.jobs.actions.offers import missing_of, offer
from gateway.control.jobs.actions.steps import LOST, fail, mark_done, on_ready
from gateway.control.jobs.actions.stores import Reaper
from gateway.control.jobs.model import (
    OPEN,
    Job,
    Jobs,
    Piece,
    Stopped,
    is_due,
    plan_of,
    ticket_of,
    too_often,
)
from gateway.control.outbox import Outbox
from shared import jobs as farm
from shared import log
from shared.clock import Clock
from shared.errors import NotFound, Retryable
from shared.metrics import ERRORS, FARM_LOST, REENQUEUED
from shared.need import work_of
from shared.storage import Bucket, names

#: Workers are told of a stopped job this long.
STOP_S = 3600


async def reap(on: Reaper) -> int:
    """Compare the rows of open jobs with markers and leases; offer again what is lost. Returns how many pieces."""
    async with on.begin() as stores:
        ids = await stores.jobs.open_ids()
    sent = 0
    for id in ids:
        try:
            sent += await _reap_one(id, on)
        except Retryable:
            raise
        except Exception as error:  # whatever it is, the jobs behind this one must not wait for it
            ERRORS.labels("worker").inc()
            log.get("worker").error("job not looked at", job=id, exc_info=error)
    return sent


async def stopped(*, jobs: Jobs, clock: Clock) -> list[Stopped]:
    """Jobs that failed or were cancelled lately: workers that still make a chunk of one are to stop."""
    return await jobs.stopped_since(clock.now() - timedelta(seconds=STOP_S))


async def _reap_one(id: str, on: Reaper) -> int:
    async with on.begin() as stores:
        job = await stores.jobs.by_id(id)
        pieces = await stores.jobs.pieces([id])
    if job is None or job.state not in OPEN:
        return 0
    # Leases before markers: a worker writes its marker before it gives the lease back, so work that ended between
    # the two looks is seen as done and never as lost.
    missing = missing_of(job, pieces)
    works = {chunk: work_of(plan_of(job, chunk), chunk) for chunk in missing}
    if await weigh(job, list(works.values()), on):
        return 0
    held = await on.leases.held(list(works.values())) or {}
    ready = await _ready_of(job, on.bucket)
    marked = await _marked(job, missing, on.bucket)
    due = {
        chunk
        for chunk, piece in missing.items()
        if chunk not in marked and is_due(piece, now=on.clock.now(), held=held.get(works[chunk]))
    }
    if ready is None and not marked and not due:
        return 0
    async with on.begin() as stores:
        ports: dict[str, Any] = {
            "jobs": stores.jobs,
            "titles": stores.catalogue,
            "outbox": stores.outbox,
            "clock": on.clock,
        }
        current = await stores.jobs.by_id(id, lock=True)
        if current is None or (current.state, current.version) != (job.state, job.version):
            return 0  # a message was faster; the next look sees what it left
        if ready is not None:
            await on_ready(current, ready, **ports)
            return 0
        if marked and await mark_done(current, marked, **ports):
            return 0
        return await _offer_again(current, due, **ports)


async def _marked(job: Job, missing: dict[str, Piece], bucket: Bucket) -> set[str]:
    if job.state != "encoding" or job.version is None:
        return set()
    chunks = list(missing)
    infos = await asyncio.gather(*(bucket.head(names.done(job.version, chunk)) for chunk in chunks))
    return {chunk for chunk, info in zip(chunks, infos, strict=True) if info is not None}


async def _ready_of(job: Job, bucket: Bucket) -> farm.Ready | None:
    """The Ready message of a job that is finalising, from the bucket: the one in Redis may be lost."""
    if job.state != "finalising" or job.version is None:
        return None
    if await bucket.head(names.ready(job.title, job.version)) is None:
        return None
    try:
        message = msgspec.json.decode(await bucket.get(names.ready_message(job.version, job.id)), type=farm.Ready)
    except (NotFound, msgspec.DecodeError):
        return None  # the farm writes it again with the next ticket
    return message if (message.version, message.job) == (job.version, job.id) else None


async def _offer_again(job: Job, chunks: set[str], *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> int:
    missing = missing_of(job, await jobs.pieces([job.id]))
    pieces = []
    for chunk in sorted(chunks & missing.keys()):
        lost = max(missing[chunk].running, 0)
        outbox.count(FARM_LOST.labels("vanished"), lost)
        piece = msgspec.structs.replace(missing[chunk], lost=missing[chunk].lost + lost)
        if too_often(piece):
            await jobs.put_piece(piece)
            await fail(job, LOST, "workers-lost", jobs=jobs, titles=titles, outbox=outbox, clock=clock)
            return 0
        pieces.append(piece)
    if pieces:
        await offer(job, pieces, jobs=jobs, outbox=outbox, clock=clock)
    for piece in pieces:
        outbox.count(REENQUEUED.labels(type(ticket_of(job, piece.chunk)).__name__))
    return len(pieces)
