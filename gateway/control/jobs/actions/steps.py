"""What moves a job on, whoever found out that it may: the rows, and what is sent after."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.jobs.model import (
    FINAL_PIECE,
    PROBE_PIECE,
    Job,
    Jobs,
    Piece,
    planned,
    ticket_of,
)
from gateway.control.outbox import Outbox
from shared import jobs as farm
from shared.clock import Clock
from shared.errors import NotFound


async def again(job: Job, jobs: Jobs) -> Job:
    """The job as it stands now. Raises NotFound."""
    stored = await jobs.by_id(job.id)
    if stored is None:
        raise NotFound("There is no such job.")
    return stored


def missing_of(job: Job, pieces: Sequence[Piece]) -> dict[str, Piece]:
    """The pieces that a job waits for in its state."""
    if job.state == "encoding":
        return {piece.chunk: piece for piece in planned(pieces) if piece.done_at is None}
    name = PROBE_PIECE if job.state == "queued" else FINAL_PIECE
    found = next((piece for piece in pieces if piece.chunk == name), None)
    return {name: found or Piece(job=job.id, chunk=name, ticket_at=job.ticket_at)}


async def send(job: Job, piece: Piece, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """Write a piece and send its ticket."""
    await jobs.put_piece(msgspec.structs.replace(piece, ticket_at=clock.now()))
    await outbox.enqueue(ticket_of(job, piece.chunk), queue=job.queue)


async def mark_done(job: Job, chunks: set[str], *, jobs: Jobs, outbox: Outbox, clock: Clock) -> bool:
    """Note which markers exist; the last one starts the last step, once: the job's row is held. Whether it did."""
    if job.state != "encoding":
        return False
    open_before = missing_of(job, await jobs.pieces([job.id]))
    for chunk in chunks & open_before.keys():
        await jobs.put_piece(msgspec.structs.replace(open_before[chunk], done_at=clock.now()))
    if open_before.keys() - chunks:
        return False
    await jobs.update(job.id, state="finalising")
    await send(job, Piece(job=job.id, chunk=FINAL_PIECE), jobs=jobs, outbox=outbox, clock=clock)
    return True


async def on_ready(job: Job, message: farm.Ready, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
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


async def fail(job: Job, words: str, code: str, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    """End a job that cannot be done, with words for who uploaded."""
    await jobs.update(job.id, state="failed", last_error=words, error_code=code, speed=0.0, finished_at=clock.now())
    await catalogue.end_processing(job.title, titles=titles)
    await outbox.emit("transcode.failed", job.id, job=job.id, title=job.title, code=code)
