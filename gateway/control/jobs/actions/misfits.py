"""Jobs that no worker can go on with: they say what is missing, and do not wait for it for ever."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.jobs.actions.steps import FALLBACK, fail, replan
from gateway.control.jobs.actions.stores import Reaper
from gateway.control.jobs.model import UNFIT, Job
from shared.jobs import GPU_QUEUE
from shared.need import WorkerState


async def weigh(job: Job, works: Sequence[str], on: Reaper) -> bool:
    """Note in words what a job waits for, and end its wait after `on.patience_s`; whether it ended.

    Work for cards is then planned anew for processors, other work fails. `works` are the pieces that are left.
    """
    words = lacking(job, on.workers or ())
    if on.workers is None or (not words and not job.last_error):
        return False
    if words and any((await on.leases.leased(works) or {}).values()):
        words = ""  # somebody is at it
    waits_s = await on.leases.waits_s(job.id, now=on.clock.epoch(), is_unfit=bool(words))
    async with on.begin() as stores:
        current = await stores.jobs.by_id(job.id, lock=True)
        if current is None or (current.state, current.version) != (job.state, job.version):
            return False
        if not words or waits_s < on.patience_s:
            if words != (current.last_error or ""):
                await stores.jobs.update(job.id, last_error=words or None)
            return False
        if job.queue == GPU_QUEUE:
            await replan(current, FALLBACK, jobs=stores.jobs, outbox=stores.outbox, clock=on.clock)
        else:
            titles, outbox = stores.catalogue, stores.outbox
            await fail(current, words, UNFIT, jobs=stores.jobs, titles=titles, outbox=outbox, clock=on.clock)
    return True


def lacking(job: Job, workers: Sequence[WorkerState]) -> str:
    """What the chunks of a job need that no worker has, in words; empty where one has it, or none was heard of.

    A worker that rests counts, one that leaves does not.
    """
    if job.state != "encoding" or not workers:
        return ""
    able = [worker for worker in workers if job.queue in worker.queues and worker.cordoned != "drain"]
    if not able:
        return f"None of the workers that run now takes work from the queue {job.queue}."
    most = 0 if any(worker.memory_bytes == 0 for worker in able) else max(worker.memory_bytes for worker in able)
    if not most or job.memory_bytes <= most:
        return ""
    needs, has = (f"{size / (1 << 30):.1f} GiB" for size in (job.memory_bytes, most))
    return f"This master needs workers with {needs} of memory for each piece of work; the largest one has {has}."
