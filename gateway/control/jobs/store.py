"""SQL of jobs and their pieces."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.control.db import Connection
from gateway.control.jobs.model import PROBE_PIECE, Job, Piece, Stopped
from shared.jobs import Subtitle

COLUMNS = """
select id, title, upload, seller, master, sha256, kind, state, queue, version, duration_s, width, height, renditions,
       speed, attempts, encoder, priority, memory_bytes, edition, ceilings, playable_at, mode, loudness, ticket_at,
       last_error, error_code, queued_at, started_at, finished_at
from job
"""
INSERT = """
insert into job (id, title, upload, seller, master, sha256, kind, queue, ticket_at, queued_at, state, version, priority,
                 mode, loudness, started_at, encoder)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
"""
BY_ID = COLUMNS + "where id = $1"
LOCKED = BY_ID + " for update"
#: A title is held before its jobs, by whoever holds both: two who change one title wait in line, never for each other.
HOLD_TITLE = "select 1 from title where id = (select title from job where id = $1) for no key update"
OF_TITLE = COLUMNS + "where title = $1 order by queued_at desc limit 50"
LATEST = (
    """
select j.* from unnest($1::text[]) as wanted (title)
cross join lateral (
"""
    + COLUMNS
    + """
    where job.title = wanted.title and kind <> 'edition' order by queued_at desc limit 1
) j
"""
)
OPEN_OF = COLUMNS + "where title = $1 and state in ('queued', 'encoding', 'finalising') for update"
OPEN = "select id from job where state in ('queued', 'encoding', 'finalising') order by queued_at"
OPEN_COUNT = """
select count(*) from job where seller = $1 and priority = $2 and state in ('queued', 'encoding', 'finalising')
"""
FIRST_OF_BACKLOG = (
    COLUMNS
    + """
where seller = $1 and priority = 0 and state in ('queued', 'encoding', 'finalising') order by queued_at limit 1
for update skip locked
"""
)
#: A version is not given up where another job of the same title makes it, or made it.
STOPPED = """
select id as job, case when exists (
    select from job other
    where other.version = job.version and other.state in ('queued', 'encoding', 'finalising', 'done')
) then null else version end as version
from job where state in ('failed', 'cancelled') and finished_at > $1
"""
SUBTITLES = """
select id, language, label, key, sha256, is_default as "default", forced from subtitle
where title = $1 order by language, forced
"""
COUNT = "select state, count(*) from job where state in ('queued', 'encoding', 'finalising') group by state"
PIECES = """
select job, chunk, media_s, score, progress, started, failures, lost, ticket_at, done_at from job_chunk
where job = any($1::text[])
"""
PUT_PIECE = """
insert into job_chunk (job, chunk, progress, started, failures, lost, ticket_at, done_at, media_s, score)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
on conflict (job, chunk) do update set progress = $3, started = $4, failures = $5, lost = $6, ticket_at = $7,
    done_at = $8, media_s = $9, score = $10
"""
DROP_CHUNKS = "delete from job_chunk where job = $1 and chunk <> $2"
SWEEP_INBOX = "delete from inbox where at < now() - interval '3 days'"
FIRST_TIME = "insert into inbox (id) values ($1) on conflict do nothing returning id"
CHANGEABLE = frozenset(Job.__struct_fields__)


class JobStore:
    """Rows of jobs and their pieces, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, job: Job) -> None:
        """A new job."""
        await self._connection.execute(
            INSERT,
            job.id,
            job.title,
            job.upload,
            job.seller,
            job.master,
            job.sha256,
            job.kind,
            job.queue,
            job.ticket_at,
            job.queued_at,
            job.state,
            job.version,
            job.priority,
            job.mode,
            job.loudness,
            job.started_at,
            job.encoder,
        )

    async def by_id(self, id: str, *, lock: bool = False) -> Job | None:
        """A job; `lock` holds its title and then its row until the transaction ends."""
        if lock:
            await self._connection.execute(HOLD_TITLE, id)
        row = await self._connection.fetchrow(LOCKED if lock else BY_ID, id)
        return Job(**row) if row else None

    async def of_title(self, title: str) -> list[Job]:
        """The last fifty jobs of a title, newest first."""
        return [Job(**row) for row in await self._connection.fetch(OF_TITLE, title)]

    async def latest(self, titles: Sequence[str]) -> list[Job]:
        """The newest job of each title that has one."""
        return [Job(**row) for row in await self._connection.fetch(LATEST, list(titles))]

    async def open_of(self, title: str) -> list[Job]:
        """The jobs of a title that are not over, their rows held; the caller holds the title."""
        return [Job(**row) for row in await self._connection.fetch(OPEN_OF, title)]

    async def open_ids(self) -> list[str]:
        """All jobs that are not over, oldest first."""
        return [row["id"] for row in await self._connection.fetch(OPEN)]

    async def open_count(self, seller: str, *, priority: int) -> int:
        """How many jobs of a seller are not over, of one priority."""
        return int(await self._connection.fetchval(OPEN_COUNT, seller, priority))

    async def first_of_backlog(self, seller: str) -> Job | None:
        """The oldest job of a seller that waits behind everybody's, its row held."""
        row = await self._connection.fetchrow(FIRST_OF_BACKLOG, seller)
        return Job(**row) if row else None

    async def stopped_since(self, since: datetime) -> list[Stopped]:
        """Jobs that failed or were cancelled since then."""
        return [Stopped(**row) for row in await self._connection.fetch(STOPPED, since)]

    async def subtitles(self, title: str) -> list[Subtitle]:
        """The subtitles of a title, as the last step lists them."""
        return [Subtitle(**row) for row in await self._connection.fetch(SUBTITLES, title)]

    async def update(self, id: str, **fields: object) -> None:
        """Set columns."""
        if unknown := fields.keys() - CHANGEABLE:
            raise ValueError(f"not a column of a job that changes: {sorted(unknown)}")
        columns = ", ".join(f"{name} = ${number}" for number, name in enumerate(fields, 2))
        sql = f"update job set {columns} where id = $1"  # noqa: S608 - names are of CHANGEABLE
        await self._connection.execute(sql, id, *fields.values())

    async def pieces(self, jobs: Sequence[str]) -> list[Piece]:
        """All pieces of these jobs."""
        return [Piece(**row) for row in await self._connection.fetch(PIECES, list(jobs))]

    async def put_piece(self, piece: Piece) -> None:
        """Write a piece, new or not."""
        counts = (piece.started, piece.failures, piece.lost)
        await self._connection.execute(
            PUT_PIECE,
            piece.job,
            piece.chunk,
            piece.progress,
            *counts,
            piece.ticket_at,
            piece.done_at,
            piece.media_s,
            piece.score,
        )

    async def drop_chunks(self, job: str) -> None:
        """Forget a plan's chunks; what is known of the probe stays."""
        await self._connection.execute(DROP_CHUNKS, job, PROBE_PIECE)

    async def first_time(self, entry: str) -> bool:
        """Whether this delivery is seen for the first time; it is noted in this transaction."""
        return await self._connection.fetchval(FIRST_TIME, entry) is not None

    async def sweep(self) -> None:
        """Forget deliveries that no stream holds any more."""
        await self._connection.execute(SWEEP_INBOX)

    async def count_by_state(self) -> dict[str, int]:
        """How many jobs are not over, by state."""
        return {row["state"]: row["count"] for row in await self._connection.fetch(COUNT)}
