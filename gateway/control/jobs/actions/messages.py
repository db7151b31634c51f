"""What the farm says, taken in: any message may come twice, late, or never."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.control.catalogue.model import Titles
from gateway.control.jobs.actions.steps import again, fail, mark_done, on_ready, send
from gateway.control.jobs.model import (
    FINAL_PIECE,
    OPEN,
    PROBE_PIECE,
    Job,
    Jobs,
    Piece,
    too_often,
)
from gateway.control.jobs.progress import merge_progress
from gateway.control.outbox import Outbox
from shared import jobs as farm
from shared.clock import Clock


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
            await mark_done(job, {message.chunk}, jobs=jobs, outbox=outbox, clock=clock)
        case farm.Failed():
            await _on_failed(job, message, **stores)
        case farm.Ready():
            await on_ready(job, message, **stores)


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
    planned_job = await again(job, jobs)
    for chunk in plan.chunks:
        await send(planned_job, Piece(job=job.id, chunk=chunk), jobs=jobs, outbox=outbox, clock=clock)
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


async def _on_failed(
    job: Job, message: farm.Failed, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock
) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if message.final:
        await fail(job, message.words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
        return
    if piece is None or piece.done_at is not None:
        return
    # The reaper may have taken this attempt for lost in the moment before its message came.
    lost = piece.lost - 1 if piece.running <= 0 < piece.lost else piece.lost
    piece = msgspec.structs.replace(piece, failures=piece.failures + 1, lost=lost)
    await jobs.put_piece(piece)
    if too_often(piece):
        words = f"{message.words} It was tried {piece.failures} times."
        await fail(job, words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
    else:
        await send(job, piece, jobs=jobs, outbox=outbox, clock=clock)


async def _piece(job: Job, chunk: str, jobs: Jobs) -> Piece | None:
    """A piece by name; None for a chunk that the plan does not hold (a message of an older plan, or one too early)."""
    pieces = {piece.chunk: piece for piece in await jobs.pieces([job.id])}
    if chunk in (PROBE_PIECE, FINAL_PIECE):
        return pieces.get(chunk) or Piece(job=job.id, chunk=chunk)
    return pieces.get(chunk)
