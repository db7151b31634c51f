"""What the farm says, taken in: any message may come twice, late, or never."""

from __future__ import annotations

from typing import Any

import msgspec

from gateway.control.catalogue.model import Titles
from gateway.control.jobs.actions.editions import queue_edition
from gateway.control.jobs.actions.offers import offer, withdraw
from gateway.control.jobs.actions.steps import FALLBACK, LOST, again, fail, mark_done, on_ready, replan
from gateway.control.jobs.model import (
    FINAL_PIECE,
    OPEN,
    OPENING,
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
from shared.metrics import FARM_LOST, FARM_REFUSED
from shared.need import FIRST, NORMAL, score

#: Messages that count; they do so once, however often they come.
COUNTED = farm.Started | farm.GivenBack | farm.Failed


async def apply(
    message: farm.Message, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock, entry: str = ""
) -> None:
    """Take in what the farm says. Any message may come twice, late, or never; `entry` names one delivery's origin.

    What belongs to an older plan of the job changes nothing.
    """
    job = await jobs.by_id(message.job, lock=True)
    if job is None or job.state not in OPEN:
        return
    if isinstance(message, COUNTED) and entry and not await jobs.first_time(entry):
        return
    if isinstance(message, COUNTED | farm.ChunkDone | farm.Progress) and message.version not in ("", job.version):
        return
    stores: dict[str, Any] = {"jobs": jobs, "titles": titles, "outbox": outbox, "clock": clock}
    match message:
        case farm.Planned():
            await _on_planned(job, message, jobs=jobs, outbox=outbox, clock=clock)
        case farm.Started():
            await _on_started(job, message, **stores)
        case farm.GivenBack():
            await _on_given_back(job, message, jobs=jobs)
        case farm.Progress():
            await _on_progress(job, message, jobs=jobs)
        case farm.ChunkDone():
            await mark_done(job, {message.chunk}, **stores)
        case farm.Failed():
            await _on_failed(job, message, **stores)
        case farm.Ready():
            await _on_ready(job, message, **stores)
        case farm.Replan() if (message.version, job.state) == (job.version, "encoding"):
            await replan(job, message.encoder, jobs=jobs, outbox=outbox, clock=clock)


async def _on_ready(job: Job, message: farm.Ready, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    """A version that was made before stands at once; subtitles that came since then get an edition that lists them."""
    await on_ready(job, message, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
    if job.state == "finalising" or (await again(job, jobs)).state != "done" or not await jobs.subtitles(job.title):
        return
    title = await titles.by_id(job.title, lock=True)
    if title is not None:
        await queue_edition(title, jobs=jobs, outbox=outbox, clock=clock)


async def _on_planned(job: Job, plan: farm.Planned, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    if job.version == plan.version or job.state == "finalising":
        return
    if job.state == "queued" and job.encoder and plan.encoder not in ("", job.encoder):
        return  # the plan that was given up, told once more
    facts = ("version", "duration_s", "width", "height", "queue", "encoder", "memory_bytes", "edition")
    await jobs.update(
        job.id,
        **{name: getattr(plan, name) for name in facts},
        ceilings=list(plan.ceilings),
        renditions=[rendition.name for rendition in plan.renditions],
        state="encoding",
        started_at=job.started_at or clock.now(),
    )
    await withdraw(job, outbox=outbox)
    await jobs.drop_chunks(job.id)
    pieces = [Piece(job=job.id, chunk=found.chunk, media_s=found.media_s, score=found.score) for found in _pieces(plan)]
    await offer(await again(job, jobs), pieces, jobs=jobs, outbox=outbox, clock=clock)
    if job.version is None:
        await outbox.emit("transcode.started", job.id, job=job.id, title=job.title, version=plan.version)


def _pieces(plan: farm.Planned) -> tuple[farm.PieceFacts, ...]:
    """The chunks of a plan as the queue sees them; a plan that does not say how much they are wanted has usual ones."""
    each_s = plan.duration_s / max(1, len(plan.chunks))
    return plan.pieces or tuple(
        farm.PieceFacts(chunk, each_s, score(FIRST if chunk in OPENING else NORMAL, position))
        for position, chunk in enumerate(plan.chunks)
    )


async def _on_started(
    job: Job, message: farm.Started, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock
) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if piece is None or piece.done_at is not None:
        return
    # One attempt at a time: whoever began before and was not heard of since is lost.
    lost = max(piece.running, 0)
    outbox.count(FARM_LOST.labels("vanished"), lost)
    piece = msgspec.structs.replace(piece, started=piece.started + 1, lost=piece.lost + lost)
    await jobs.put_piece(piece)
    await jobs.update(job.id, attempts=max(job.attempts, piece.started))
    if too_often(piece):
        await fail(job, LOST, "workers-lost", jobs=jobs, titles=titles, outbox=outbox, clock=clock)


async def _on_given_back(job: Job, message: farm.GivenBack, *, jobs: Jobs) -> None:
    piece = await _piece(job, message.chunk, jobs)
    if piece is not None and piece.done_at is None and piece.running > 0:
        await jobs.put_piece(msgspec.structs.replace(piece, started=piece.started - 1))


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
        outbox.count(FARM_REFUSED.labels(message.code))
        await fail(job, message.words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
        return
    if piece is None or piece.done_at is not None:
        return
    piece = _counted(piece, message, outbox)
    await jobs.put_piece(piece)
    if not too_often(piece):
        # What is wrong with a machine lasts, and who fails at once is idle first: the reaper offers it a little later.
        if not message.lost or message.code == farm.KILLED:
            await offer(job, [piece], jobs=jobs, outbox=outbox, clock=clock)
    elif job.queue == farm.GPU_QUEUE and job.state == "encoding":
        await replan(job, FALLBACK, jobs=jobs, outbox=outbox, clock=clock)
    else:
        words = LOST if message.lost else f"{message.words} It was tried {piece.failures} times."
        await fail(job, words, message.code, jobs=jobs, titles=titles, outbox=outbox, clock=clock)


def _counted(piece: Piece, message: farm.Failed, outbox: Outbox) -> Piece:
    # The attempt may have been taken for lost in the moment before its message came.
    lost = piece.lost - 1 if piece.running <= 0 < piece.lost else piece.lost
    if message.lost:
        if lost == piece.lost:
            outbox.count(FARM_LOST.labels(message.code))
        return msgspec.structs.replace(piece, lost=lost + 1)
    return msgspec.structs.replace(piece, failures=piece.failures + 1, lost=lost)


async def _piece(job: Job, chunk: str, jobs: Jobs) -> Piece | None:
    """A piece by name; None for a chunk that the plan does not hold (a message of an older plan, or one too early)."""
    pieces = {piece.chunk: piece for piece in await jobs.pieces([job.id])}
    if chunk in (PROBE_PIECE, FINAL_PIECE):
        return pieces.get(chunk) or Piece(job=job.id, chunk=chunk)
    return pieces.get(chunk)
