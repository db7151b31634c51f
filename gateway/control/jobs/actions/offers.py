"""What is offered to the farm of a job, and what is taken back."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from gateway.control.jobs.model import (
    AT_ONCE,
    BACKLOG,
    EDITION,
    FINAL_PIECE,
    PROBE_PIECE,
    USUAL,
    Job,
    Jobs,
    Piece,
    plan_of,
    planned,
    ticket_of,
)
from gateway.control.outbox import Outbox, Withdrawal
from shared.clock import Clock
from shared.jobs import CPU_QUEUE
from shared.need import BULK, CLASS, FIRST, Offer, score

#: Seconds of a title that a probe counts for: how long it is is not known yet.
PROBE_S = 10.0


async def offer(job: Job, pieces: Sequence[Piece], *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """Write pieces of one plan and let the farm take them; may be repeated."""
    for piece in pieces:
        await jobs.put_piece(msgspec.structs.replace(piece, ticket_at=clock.now()))
    # What is no chunk needs no card, and as much memory as any worker has.
    has_chunks = any(planned(pieces))
    known = [piece.media_s for piece in planned(await jobs.pieces([job.id]))]
    subtitles = await jobs.subtitles(job.title) if any(piece.chunk == FINAL_PIECE for piece in pieces) else ()
    await outbox.offer(
        Offer(
            plan=plan_of(job, pieces[0].chunk),
            queue=job.queue if has_chunks else CPU_QUEUE,
            seller=job.seller,
            memory_bytes=job.memory_bytes if has_chunks else 0,
            media_s=sum(known) / len(known) if known else PROBE_S,
            queued_ms=int(job.queued_at.timestamp() * 1000),
            work={piece.chunk: ticket_of(job, piece.chunk, subtitles) for piece in pieces},
            scores={piece.chunk: wanted(job, piece) for piece in pieces},
        )
    )


async def withdraw(job: Job, *, outbox: Outbox, is_over: bool = False) -> None:
    """Take back what was offered of a job. `is_over`: nothing comes of it; workers stop and viewers need not wait."""
    stop = job.id if is_over else ""
    await outbox.withdraw(Withdrawal(job.id, stop=stop))
    if job.version is not None:
        await outbox.withdraw(Withdrawal(job.version, is_over=is_over and job.kind != EDITION))


async def priority_of(seller: str, *, jobs: Jobs) -> int:
    """The priority of a seller's next job."""
    return USUAL if await jobs.open_count(seller, priority=USUAL) < AT_ONCE else BACKLOG


async def advance(seller: str, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """A job of this seller is over: the first of its backlog takes the place."""
    if await priority_of(seller, jobs=jobs) == BACKLOG or (job := await jobs.first_of_backlog(seller)) is None:
        return
    await jobs.update(job.id, priority=USUAL)
    job = msgspec.structs.replace(job, priority=USUAL)
    if pieces := list(missing_of(job, await jobs.pieces([job.id])).values()):
        await offer(job, pieces, jobs=jobs, outbox=outbox, clock=clock)


def wanted(job: Job, piece: Piece) -> float:
    """How much a piece is wanted: as its plan says, or least of all in a backlog."""
    found = piece.score if piece.chunk not in (PROBE_PIECE, FINAL_PIECE) else score(FIRST)
    return found % CLASS + BULK * CLASS if job.priority == BACKLOG else found


def missing_of(job: Job, pieces: Sequence[Piece]) -> dict[str, Piece]:
    """The pieces that a job waits for in its state."""
    if job.state == "encoding":
        return {piece.chunk: piece for piece in planned(pieces) if piece.done_at is None}
    name = PROBE_PIECE if job.state == "queued" else FINAL_PIECE
    found = next((piece for piece in pieces if piece.chunk == name), None)
    return {name: found or Piece(job=job.id, chunk=name, ticket_at=job.ticket_at)}
