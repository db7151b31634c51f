"""What moves a job on, whoever found out that it may: the rows, and what is offered after."""

from __future__ import annotations

import msgspec

from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.jobs.actions.offers import advance, missing_of, offer, withdraw
from gateway.control.jobs.model import EDITION, FINAL_PIECE, PROBE_PIECE, Job, Jobs, Piece, is_playable
from gateway.control.outbox import Outbox
from shared import jobs as farm
from shared.clock import Clock
from shared.errors import NotFound
from shared.metrics import FARM_REPLANS

#: The encoder that is of use everywhere.
FALLBACK = "x264"
LOST = (
    "The workers that made this title stopped again and again before they were done. Try again; if it stays so, the "
    "master may need more memory than a worker has."
)


async def again(job: Job, jobs: Jobs) -> Job:
    """The job as it stands now. Raises NotFound."""
    stored = await jobs.by_id(job.id)
    if stored is None:
        raise NotFound("There is no such job.")
    return stored


async def mark_done(job: Job, chunks: set[str], *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> bool:
    """Note which markers exist; the last one starts the last step, once: the job's row is held. Whether it did."""
    if job.state != "encoding":
        return False
    open_before = missing_of(job, await jobs.pieces([job.id]))
    for chunk in chunks & open_before.keys():
        await jobs.put_piece(msgspec.structs.replace(open_before[chunk], done_at=clock.now()))
    if is_playable(job, await jobs.pieces([job.id])):
        await _become_playable(job, jobs=jobs, titles=titles, outbox=outbox, clock=clock)
    if open_before.keys() - chunks:
        return False
    await jobs.update(job.id, state="finalising", last_error=None)
    last = [Piece(job=job.id, chunk=FINAL_PIECE)]
    await offer(await again(job, jobs), last, jobs=jobs, outbox=outbox, clock=clock)
    return True


async def _become_playable(job: Job, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    await jobs.update(job.id, playable_at=clock.now())
    version, edition = job.version or "", job.edition or ""
    await catalogue.become_playable(
        job.title,
        version=version,
        edition=edition,
        ceilings=job.ceilings,
        duration_s=job.duration_s or 0.0,
        width=job.width or 0,
        height=job.height or 0,
        titles=titles,
    )
    ids = {"job": job.id, "title": job.title, "version": version, "edition": edition}
    await outbox.emit("transcode.playable", job.id, **ids)


async def on_ready(job: Job, message: farm.Ready, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    """The caller holds the row of a job that is open, so this happens once."""
    if job.version is not None and job.version != message.version:
        return
    facts = {"version": message.version, "duration_s": message.duration_s, "speed": 0.0, "last_error": None}
    facts |= {"width": message.width, "height": message.height}
    now = clock.now()
    await jobs.update(job.id, **facts, state="done", started_at=job.started_at or now, finished_at=now)
    if job.kind == EDITION:
        await catalogue.show_edition(job.title, message, titles=titles)
    else:
        await catalogue.become_ready(job.title, message, titles=titles)
    await withdraw(job, outbox=outbox)
    ids = {"job": job.id, "title": job.title, "version": message.version, "edition": message.edition}
    await outbox.emit("transcode.completed", job.id, **ids)
    await advance(job.seller, jobs=jobs, outbox=outbox, clock=clock)


async def fail(job: Job, words: str, code: str, *, jobs: Jobs, titles: Titles, outbox: Outbox, clock: Clock) -> None:
    """End a job that cannot be done, with words for who uploaded."""
    await jobs.update(job.id, state="failed", last_error=words, error_code=code, speed=0.0, finished_at=clock.now())
    if job.kind != EDITION:
        await catalogue.end_processing(job.title, titles=titles)
    await withdraw(job, outbox=outbox, is_over=True)
    await outbox.emit("transcode.failed", job.id, job=job.id, title=job.title, code=code)
    await advance(job.seller, jobs=jobs, outbox=outbox, clock=clock)


async def replan(job: Job, encoder: str, *, jobs: Jobs, outbox: Outbox, clock: Clock) -> None:
    """Plan a job anew for another encoder. What is made of the old version stays to be watched."""
    await withdraw(job, outbox=outbox)
    fresh = {"state": "queued", "encoder": encoder, "queue": farm.CPU_QUEUE, "speed": 0.0, "playable_at": None}
    await jobs.update(job.id, **fresh, memory_bytes=0, edition=None, ceilings=[], last_error=None)
    await jobs.drop_chunks(job.id)
    probe = [Piece(job=job.id, chunk=PROBE_PIECE)]
    await offer(await again(job, jobs), probe, jobs=jobs, outbox=outbox, clock=clock)
    ids = {"job": job.id, "title": job.title, "version": job.version, "encoder": encoder}
    await outbox.emit("transcode.replanned", job.id, **ids)
    outbox.count(FARM_REPLANS)
