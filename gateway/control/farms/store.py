"""SQL of the farm as operators see it: jobs of all sellers, and whose a piece of work is."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.control.db import Connection
from gateway.control.farms.model import JobLine, Owner

LINES = """
select job.id, job.title, title.name, seller.handle as seller, job.state, job.queue, job.encoder, job.version,
       job.duration_s, job.speed, made.pieces, made.done, made.failures, made.lost, job.last_error, job.queued_at,
       job.started_at, job.finished_at
from job
join title on title.id = job.title
join seller on seller.id = job.seller
cross join lateral (
    select count(*) filter (where chunk not in ('probe', 'final'))::int as pieces,
           count(*) filter (where chunk not in ('probe', 'final') and done_at is not null)::int as done,
           coalesce(sum(failures), 0)::int as failures, coalesce(sum(lost), 0)::int as lost
    from job_chunk where job_chunk.job = job.id
) made
"""
OPEN = LINES + "where job.state in ('queued', 'encoding', 'finalising') order by job.queued_at limit $1"
OVER = LINES + "where job.state in ('failed', 'cancelled') order by job.finished_at desc limit $1"
LINE = LINES + "where job.id = $1"
OWNERS = """
select job.id, job.version, job.title, title.name from job join title on title.id = job.title
where (job.id = any($1::text[]) or job.version = any($1::text[]))
  and job.state in ('queued', 'encoding', 'finalising')
"""


class FarmStore:
    """Rows of jobs across sellers, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def owners(self, plans: Sequence[str]) -> list[Owner]:
        """The open jobs that these plans, or jobs without one, stand for."""
        return [Owner(**row) for row in await self._connection.fetch(OWNERS, list(plans))]

    async def open(self, limit: int) -> list[JobLine]:
        """Jobs that are not over, oldest first."""
        return [JobLine(**row) for row in await self._connection.fetch(OPEN, limit)]

    async def over(self, limit: int) -> list[JobLine]:
        """Jobs that failed or were cancelled, newest first."""
        return [JobLine(**row) for row in await self._connection.fetch(OVER, limit)]

    async def line(self, id: str) -> JobLine | None:
        """One job."""
        row = await self._connection.fetchrow(LINE, id)
        return JobLine(**row) if row else None
