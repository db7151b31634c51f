"""A new edition of a version that plays: its last step again, with the subtitles that there are now."""

from __future__ import annotations

import msgspec

from gateway.control.catalogue.model import Title
from gateway.control.jobs.actions.rows import begin, fresh, supersede
from gateway.control.jobs.actions.steps import again
from gateway.control.jobs.model import EDITION, FINAL_PIECE, Job, Jobs
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Conflict


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
    await supersede([job for job in under_way if job.kind == EDITION], jobs=jobs, outbox=outbox, clock=clock)
    made = await jobs.of_title(title.id)
    if not made:
        return None
    maker = next((job for job in made if job.version == title.version), made[0])
    job = fresh(title, maker, kind=EDITION, clock=clock)
    job = msgspec.structs.replace(job, state="finalising", version=title.version, started_at=clock.now())
    await begin(job, FINAL_PIECE, jobs=jobs, outbox=outbox, clock=clock)
    return await again(job, jobs)
