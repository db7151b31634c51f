"""What is done with jobs: queue, cancel, retry, apply what the farm says, and send again what got lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from gateway.control.auth import Principal, can, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Title, Titles
from gateway.control.db import Begin
from gateway.control.jobs.model import (
    FINAL_PIECE,
    OPEN,
    PROBE_PIECE,
    Job,
    Jobs,
    JobView,
    Leases,
    NewJob,
    Piece,
    is_due,
    lease_of,
    merge_progress,
    planned,
    ticket_of,
    too_often,
    view,
)
from gateway.control.outbox import Outbox
from shared import jobs as farm
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.ids import is_id, new_id
from shared.metrics import REENQUEUED
from shared.storage import Bucket, names

NO_JOB = "There is no such job."
LOST = (
    "The workers that made this title stopped again and again before they were done. Try again; if it stays so, the "
    "master may need more memory than a worker has."
)
#: Workers are told of a stopped job this long.
STOP_S = 3600


class Stores(Protocol):
    """What one transaction gives."""

    jobs: Jobs
    catalogue: Titles
    outbox: Outbox


async def queue(new: NewJob, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    """A job for a complete master, in the transaction that completes it: the title goes to `processing`.

    An older job of the title that is not done yet is cancelled: the newest master counts.
    """
    title = await catalogue.begin_processing(new.title, titles=titles)
    for older in await jobs.open_of(title.id):
        await jobs.update(older.id, state="cancelled", finished_at=clock.now())
    job = _fresh(new, title, clock)
    await jobs.insert(job)
    await jobs.put_piece(Piece(job=job.id, chunk=PROBE_PIECE, ticket_at=clock.now()))
    await outbox.emit("transcode.queued", job.id, job=job.id, title=title.id)
    await outbox.enqueue(ticket_of(job, PROBE_PIECE))
    return job


async def find(id: str, permission: str, *, by: Principal, jobs: Jobs, lock: bool = False) -> Job:
    """The job. Raises NotFound for one of a seller that `by` does not work for, Forbidden without the permission."""
    job = await jobs.by_id(id, lock=lock) if is_id(id, "job") else None
    if job is None:
        raise NotFound(NO_JOB)
    _require(by, permission, job)
    return job


async def show(found: Sequence[Job], pieces: Sequence[Piece], *, leases: Leases) -> list[JobView]:
    """Jobs as people see them."""
    held = {j.id: bool(await leases.held(lease_of(j, PROBE_PIECE))) for j in found if j.state == "queued"}
    return [view(j, [p for p in pieces if p.job == j.id], probing=held.get(j.id, False)) for j in found]


async def latest(titles: Sequence[str], *, jobs: Jobs) -> tuple[list[Job], list[Piece]]:
    """The newest job of each title that has one, and the jobs' pieces."""
    found = await jobs.latest(titles)
    return found, await jobs.pieces([job.id for job in found])


async def of_title(ref: str, *, by: Principal, jobs: Jobs, titles: Titles) -> list[Job]:
    """The jobs of a title, newest first, for who works on it."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "job:read", title)
    return await jobs.of_title(title.id)


async def cancel(id: str, *, by: Principal, jobs: Jobs, titles: Titles, clock: Clock) -> Job:
    """Stop a job; what is done of it is kept for a retry. Raises Conflict when it is over."""
    job = await find(id, "job:write", by=by, jobs=jobs, lock=True)
    if job.state not in OPEN:
        raise Conflict(f"This job is {job.state} already.", state=job.state)
    await jobs.update(job.id, state="cancelled", finished_at=clock.now())
    await catalogue.end_processing(job.title, titles=titles)
    return await _again(job, jobs)


async def retry(id: str, *, by: Principal, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    """A new job for the same master. Chunks that were done stay done: they are found by their markers."""
    job = await find(id, "job:write", by=by, jobs=jobs, lock=True)
    if job.state not in ("failed", "cancelled"):
        raise Conflict(f"Only a job that failed or was cancelled is tried again; this one is {job.state}.")
    await catalogue.check_uploadable(job.title, by=by, titles=titles)
    if await jobs.open_of(job.title):
        raise Conflict("A newer job of this title is under way.")
    new = NewJob(title=job.title, upload=job.upload, master=job.master, sha256=job.sha256)
    return await queue(new, jobs=jobs, titles=titles, outbox=outbox, clock=clock)


async def apply(
    message: farm.Message, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock, entry: str = ""
) -> None:
    """Take in what the farm says. Any message may come twice, late, or never; `entry` names one delivery's origin.

    Only Started and Failed count; they are counted once per `entry`.
    """
    job = await jobs.by_id(message.job, lock=True)
    if job is None or job.state not in OPEN:
        return
    if isinstance(message, farm.Started | farm.Failed) and entry and not await jobs.first_time(entry):
        return
    stores: dict[str, Any] = {"jobs": jobs, "titles": titles, "outbox": outbox, "clock": clock}
    match message:
        case farm.Planned():
            await _on_planned(job, message, jobs=jobs, outbox=outbox, clock=clock)
        case farm.Started():
            await _on_started(job, message, jobs=jobs)
        case farm.Progress():
            await _on_progress(job, message, jobs=jobs)
        case farm.ChunkDone():
            await _mark_done(job, {message.chunk}, jobs=jobs, outbox=outbox, clock=clock)
        case farm.Failed():
            await _on_failed(job, message, **stores)
        case farm.Ready():
            await _on_ready(job, message, **stores)


async def reap(*, begin: Begin[Any], leases: Leases, bucket: Bucket, clock: Clock, lease_s: float) -> int:
    """Compare the rows of open jobs with markers and leases; send again what is lost. Returns how many tickets."""
    async with begin() as stores:
        ids = await stores.jobs.open_ids()
    sent = 0
    for id in ids:
        sent += await _reap_one(id, begin=begin, leases=leases, bucket=bucket, clock=clock, lease_s=lease_s)
    return sent


async def stopped(*, jobs: Jobs, clock: Clock) -> list[str]:
    """Jobs that failed or were cancelled lately: workers that still make a chunk of one are to stop."""
    return await jobs.stopped_since(clock.now() - timedelta(seconds=STOP_S))


async def _reap_one(id: str, *, begin: Begin[Any], leases: Leases, bucket: Bucket, clock: Clock, lease_s: float) -> int:
    async with begin() as stores:
        job = await stores.jobs.by_id(id)
        pieces = await stores.jobs.pieces([id])
    if job is None or job.state not in OPEN:
        return 0
    # Leases before markers: a worker writes its marker before it gives the lease back, so work that ended between
    # the two looks is seen as done and never as lost.
    missing = _missing(job, pieces)
    held = {chunk: await leases.held(lease_of(job, chunk)) for chunk in missing}
    waiting = await leases.waiting(job.queue)
    ready = await _ready_of(job, bucket)
    marked = await _marked(job, missing, bucket)
    due = {
        chunk
        for chunk, piece in missing.items()
        if chunk not in marked and is_due(piece, now=clock.now(), lease_s=lease_s, held=held[chunk], waiting=waiting)
    }
    if ready is None and not marked and not due:
        return 0
    async with begin() as stores:
        ports: dict[str, Any] = {"jobs": stores.jobs, "outbox": stores.outbox, "clock": clock}
        current = await stores.jobs.by_id(id, lock=True)
        if current is None or (current.state, current.version) != (job.state, job.version):
            return 0  # a message was faster; the next look sees what it left
        if ready is not None:
            await _on_ready(current, ready, titles=stores.catalogue, **ports)
            return 0
        if marked and await _mark_done(current, marked, **ports):
            return 0
        return await _send_again(current, due, titles=stores.catalogue, **ports)


def _missing(job: Job, pieces: Sequence[Piece]) -> dict[str, Piece]:
    """The pieces that a job waits for in its state."""
    if job.state == "encoding":
        return {piece.chunk: piece for piece in planned(pieces) if piece.done_at is None}
    name = PROBE_PIECE if job.state == "queued" else FINAL_PIECE
    found = next((piece for piece in pieces if piece.chunk == name), None)
    return {name: found or Piece(job=job.id, chunk=name, ticket_at=job.ticket_at)}


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
        message = msgspec.json.decode(await bucket.get(names.ready_message(job.version)), type=farm.Ready)
    except (NotFound, msgspec.DecodeError):
        return None  # the farm writes it again with the next ticket
    return msgspec.structs.replace(message, job=job.id) if message.version == job.version else None


async def _send_again(job: Job, chunks: set[str], *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> int:
    pieces = _missing(job, await jobs.pieces([job.id]))
    for chunk in sorted(chunks & pieces.keys()):
        piece = pieces[chunk]
        piece = msgspec.structs.replace(piece, lost=piece.lost + max(piece.running, 0))
        if too_often(piece):
            await _fail(job, LOST, "workers-lost", jobs=jobs, titles=titles, outbox=outbox, clock=clock)
            return 0
        await _send(job, piece, jobs=jobs, outbox=outbox, clock=clock)
        REENQUEUED.labels(type(ticket_of(job, chunk)).__name__).inc()
    return len(chunks & pieces.keys())


async def _send(job: Job, piece: Piece, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    await jobs.put_piece(msgspec.structs.replace(piece, ticket_at=clock.now()))
    await outbox.enqueue(ticket_of(job, piece.chunk), queue=job.queue)


async def _on_planned(job: Job, plan: farm.Planned, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    if job.version == plan.version or job.state == "finalising":
        return
    facts = {"version": plan.version, "duration_s": plan.duration_s, "width": plan.width, "height": plan.height}
    renditions = [rendition.name for rendition in plan.renditions]
    await jobs.update(
        job.id,
        **facts,
        renditions=renditions,
        queue=plan.queue,
        state="encoding",
        started_at=job.started_at or clock.now(),
    )
    await jobs.drop_chunks(job.id)
    planned_job = await _again(job, jobs)
    for chunk in plan.chunks:
        await _send(planned_job, Piece(job=job.id, chunk=chunk), jobs=jobs, outbox=outbox, clock=clock)
    if job.version is None:
        await outbox.emit("transcode.started", job.id, job=job.id, title=job.title, version=plan.version)


async def _on_started(job: Job, message: farm.Started, *, jobs: Jobs) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if piece is None or piece.done_at is not None:
        return
    await jobs.put_piece(msgspec.structs.replace(piece, started=piece.started + 1))
    await jobs.update(job.id, attempts=max(job.attempts, piece.started + 1))


async def _on_progress(job: Job, message: farm.Progress, *, jobs: Jobs) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if piece is None or piece.done_at is not None or job.state != "encoding":
        return
    progress = merge_progress(piece.progress, message.renditions)
    await jobs.put_piece(msgspec.structs.replace(piece, progress=progress))
    await jobs.update(job.id, speed=message.speed)


async def _mark_done(job: Job, chunks: set[str], *, jobs: Jobs, outbox: Outbox, clock: Clock) -> bool:
    """Note which markers exist; the last one starts the last step, once: the job's row is held. Whether it did."""
    if job.state != "encoding":
        return False
    open_before = _missing(job, await jobs.pieces([job.id]))
    for chunk in chunks & open_before.keys():
        await jobs.put_piece(msgspec.structs.replace(open_before[chunk], done_at=clock.now()))
    if open_before.keys() - chunks:
        return False
    await jobs.update(job.id, state="finalising")
    await _send(job, Piece(job=job.id, chunk=FINAL_PIECE), jobs=jobs, outbox=outbox, clock=clock)
    return True


async def _on_failed(
    job: Job, message: farm.Failed, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock
) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if message.final:
        await _fail(job, message.words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
        return
    if piece is None or piece.done_at is not None:
        return
    # The reaper may have taken this attempt for lost in the moment before its message came.
    lost = piece.lost - 1 if piece.running <= 0 < piece.lost else piece.lost
    piece = msgspec.structs.replace(piece, failures=piece.failures + 1, lost=lost)
    await jobs.put_piece(piece)
    if too_often(piece):
        words = f"{message.words} It was tried {piece.failures} times."
        await _fail(job, words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
    else:
        await _send(job, piece, jobs=jobs, outbox=outbox, clock=clock)


async def _on_ready(job: Job, message: farm.Ready, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    """The caller holds the row of a job that is open, so this happens once."""
    if job.version is not None and job.version != message.version:
        return
    facts = {"version": message.version, "duration_s": message.duration_s, "speed": 0.0, "last_error": None}
    facts |= {"width": message.width, "height": message.height}
    now = clock.now()
    await jobs.update(job.id, **facts, state="done", started_at=job.started_at or now, finished_at=now)
    await catalogue.become_ready(job.title, message, titles=titles)
    ids = {"job": job.id, "title": job.title, "version": message.version, "edition": message.edition}
    await outbox.emit("transcode.completed", job.id, **ids)


async def _fail(job: Job, words: str, code: str, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    await jobs.update(job.id, state="failed", last_error=words, error_code=code, speed=0.0, finished_at=clock.now())
    await catalogue.end_processing(job.title, titles=titles)
    await outbox.emit("transcode.failed", job.id, job=job.id, title=job.title, code=code)


async def _piece(job: Job, chunk: str, jobs: Jobs) -> Piece | None:
    """A piece by name; None for a chunk that the plan does not hold (a message of an older plan, or one too early)."""
    pieces = {piece.chunk: piece for piece in await jobs.pieces([job.id])}
    if chunk in (PROBE_PIECE, FINAL_PIECE):
        return pieces.get(chunk) or Piece(job=job.id, chunk=chunk)
    return pieces.get(chunk)


def _fresh(new: NewJob, title: Title, clock: Clock) -> Job:
    return Job(
        id=new_id("job"),
        title=title.id,
        upload=new.upload,
        seller=title.seller,
        master=new.master,
        sha256=new.sha256,
        kind="audio" if title.kind == "audio" else "video",
        ticket_at=clock.now(),
        queued_at=clock.now(),
    )


def _require(by: Principal, permission: str, job: Job) -> None:
    """Raises NotFound where `by` may not even read the job."""
    if not can(by, "job:read", job):
        raise NotFound(NO_JOB)
    require(by, permission, job)


async def _again(job: Job, jobs: Jobs) -> Job:
    stored = await jobs.by_id(job.id)
    if stored is None:
        raise NotFound(NO_JOB)
    return stored
