"""A new edition of a version that plays: its last step again, with the subtitles that there are now."""

from __future__ import annotations

from gateway.control.catalogue.model import Title
from gateway.control.jobs.actions.offers import offer, withdraw
from gateway.control.jobs.actions.steps import again
from gateway.control.jobs.model import EDITION, FINAL_PIECE, Job, Jobs, Piece
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Conflict
from shared.ids import new_id


async def queue_edition(title: Title, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> Job | None:
    """A job for a new edition, in place of one under way; the caller holds the title's row.

    None where no whole version plays: the last step of one in the making takes the subtitles that are there then.
    Raises Conflict while such a last step runs.
    """
    under_way = await jobs.open_of(title.id)
    if any(job.kind != EDITION and job.state == "finalising" for job in under_way):
        raise Conflict("This title is just being finished; try again in a moment.", code="finishing")
    if title.edition is None or title.version is None or title.making:
        return None
    for older in under_way:
        if older.kind == EDITION:
            await jobs.update(older.id, state="cancelled", finished_at=clock.now())
            await withdraw(older, outbox=outbox, is_over=True)
    made = await jobs.of_title(title.id)
    if not made:
        return None
    job = _fresh(title, next((one for one in made if one.version == title.version), made[0]), clock)
    await jobs.insert(job)
    await jobs.update(job.id, started_at=job.started_at)
    await outbox.emit("transcode.queued", job.id, job=job.id, title=title.id)
    await offer(job, [Piece(job=job.id, chunk=FINAL_PIECE)], jobs=jobs, outbox=outbox, clock=clock)
    return await again(job, jobs)


def _fresh(title: Title, made: Job, clock: Clock) -> Job:
    """The job's row; `made` is the one that made the version."""
    return Job(
        id=new_id("job"),
        title=title.id,
        upload=made.upload,
        seller=title.seller,
        master=made.master,
        sha256=made.sha256,
        kind=EDITION,
        state="finalising",
        version=title.version,
        ticket_at=clock.now(),
        queued_at=clock.now(),
        started_at=clock.now(),
    )
