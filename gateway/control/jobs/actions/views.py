"""Jobs as people see them."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.jobs.model import (
    PROBE_PIECE,
    Job,
    Jobs,
    JobView,
    Leases,
    Piece,
    plan_of,
)
from gateway.control.jobs.progress import view
from shared.need import work_of


async def show(found: Sequence[Job], pieces: Sequence[Piece], *, leases: Leases) -> list[JobView]:
    """Jobs as people see them."""
    probes = {j.id: work_of(plan_of(j, PROBE_PIECE), PROBE_PIECE) for j in found if j.state == "queued"}
    held = await leases.leased(list(probes.values())) or {} if probes else {}
    probing = {id for id, work in probes.items() if held.get(work)}
    return [view(j, [p for p in pieces if p.job == j.id], probing=j.id in probing) for j in found]


async def latest(titles: Sequence[str], *, jobs: Jobs) -> tuple[list[Job], list[Piece]]:
    """The newest job of each title that has one, and the jobs' pieces."""
    found = await jobs.latest(titles)
    return found, await jobs.pieces([job.id for job in found])


async def of_title(ref: str, *, by: Principal, jobs: Jobs, titles: Titles) -> list[Job]:
    """The jobs of a title, newest first, for who works on it."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "job:read", title)
    return await jobs.of_title(title.id)
