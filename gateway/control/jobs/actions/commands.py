"""What people do with jobs: queue, find, cancel, retry."""

from __future__ import annotations

import msgspec

from gateway.control.auth import Principal, can, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.jobs.actions.editions import queue_edition
from gateway.control.jobs.actions.offers import advance, priority_of, withdraw
from gateway.control.jobs.actions.rows import begin, fresh, supersede
from gateway.control.jobs.actions.steps import again
from gateway.control.jobs.model import (
    EDITION,
    OPEN,
    PROBE_PIECE,
    Job,
    Jobs,
    NewJob,
)
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.ids import is_id

NO_JOB = "There is no such job."


async def queue(new: NewJob, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    """A job for a complete master, in the transaction that completes it: the title goes to `processing`.

    An older job of the title that is not done yet is cancelled: the newest master counts. The same master is planned
    for the encoder that it was planned for before, whichever worker looks at it, so what was made of it is found.
    """
    title = await catalogue.begin_processing(new.title, titles=titles)
    before = (one.encoder for one in await jobs.of_title(title.id) if one.sha256 == new.sha256 and one.encoder)
    await supersede(await jobs.open_of(title.id), jobs=jobs, outbox=outbox, clock=clock)
    await catalogue.end_making(title.id, titles)
    job = fresh(title, new, kind="audio" if title.kind == "audio" else "video", clock=clock)
    priority = await priority_of(job.seller, jobs=jobs)
    job = msgspec.structs.replace(job, priority=priority, encoder=next(before, ""))
    await begin(job, PROBE_PIECE, jobs=jobs, outbox=outbox, clock=clock)
    return job


async def find(id: str, permission: str, *, by: Principal, jobs: Jobs, lock: bool = False) -> Job:
    """The job. Raises NotFound for one of a seller that `by` does not work for, Forbidden without the permission."""
    job = await jobs.by_id(id, lock=lock) if is_id(id, "job") else None
    if job is None:
        raise NotFound(NO_JOB)
    _require(by, permission, job)
    return job


async def cancel(id: str, *, by: Principal, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    """Stop a job; what is done of it is kept for a retry. Raises Conflict when it is over."""
    job = await find(id, "job:write", by=by, jobs=jobs, lock=True)
    if job.state not in OPEN:
        raise Conflict(f"This job is {job.state} already.", state=job.state)
    await jobs.update(job.id, state="cancelled", finished_at=clock.now())
    was, now = {"state": job.state}, {"state": "cancelled"}
    await outbox.audit(by.id, "job:cancel", job.id, before=was, after=now, place=by.place)
    if job.kind != EDITION:
        await catalogue.end_processing(job.title, titles=titles)
    await withdraw(job, outbox=outbox, is_over=True)
    await advance(job.seller, jobs=jobs, outbox=outbox, clock=clock)
    return await again(job, jobs)


async def retry(id: str, *, by: Principal, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    """A new job for the same master. Chunks that were done stay done: they are found by their markers."""
    job = await find(id, "job:write", by=by, jobs=jobs, lock=True)
    if job.state not in ("failed", "cancelled"):
        raise Conflict(f"Only a job that failed or was cancelled is tried again; this one is {job.state}.")
    await outbox.audit(by.id, "job:retry", job.id, before={"state": job.state}, place=by.place)
    if job.kind == EDITION:
        return await _edition_again(job, by=by, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
    await catalogue.check_uploadable(job.title, by=by, titles=titles)
    if await jobs.open_of(job.title):
        raise Conflict("A newer job of this title is under way.")
    facts = {name: getattr(job, name) for name in NewJob.__struct_fields__}
    new = NewJob(**facts)
    return await queue(new, jobs=jobs, titles=titles, outbox=outbox, clock=clock)


async def _edition_again(job: Job, *, by: Principal, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> Job:
    title = await catalogue.to_change(job.title, "title:write", by=by, titles=titles)
    made = await queue_edition(title, jobs=jobs, outbox=outbox, clock=clock)
    if made is None:
        raise Conflict("No whole version of this title plays now; its next edition will have the subtitles.")
    return made


def _require(by: Principal, permission: str, job: Job) -> None:
    """Raises NotFound where `by` may not even read the job."""
    if not can(by, "job:read", job):
        raise NotFound(NO_JOB)
    require(by, permission, job)
