"""Rows of jobs: made with the offer of their first piece, and taken out of the way of a newer one."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.catalogue.model import Title
from gateway.control.jobs.actions.offers import offer, withdraw
from gateway.control.jobs.model import Job, Jobs, NewJob, Piece
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.ids import new_id


def fresh(title: Title, master: NewJob | Job, *, kind: str, clock: Clock) -> Job:
    """The row of a new job for a master of a title."""
    return Job(
        id=new_id("job"),
        title=title.id,
        upload=master.upload,
        seller=title.seller,
        master=master.master,
        sha256=master.sha256,
        kind=kind,
        mode=master.mode,
        loudness=master.loudness,
        ticket_at=clock.now(),
        queued_at=clock.now(),
    )


async def begin(job: Job, chunk: str, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """Write a new job, tell of it, and offer its first piece."""
    await jobs.insert(job)
    await outbox.emit("transcode.queued", job.id, job=job.id, title=job.title)
    await offer(job, [Piece(job=job.id, chunk=chunk)], jobs=jobs, outbox=outbox, clock=clock)


async def supersede(older: Sequence[Job], *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """Cancel open jobs for which a newer one comes; the caller holds their rows."""
    for job in older:
        await jobs.update(job.id, state="cancelled", finished_at=clock.now())
        await withdraw(job, outbox=outbox, is_over=True)
