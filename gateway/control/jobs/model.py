"""Transcode jobs: rows, how far they are, when a piece of work counts as lost, and the ports they need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from shared import jobs
from shared.jobs import MAX_INPUT_FAILURES, MAX_LOST_WORKERS

State = Literal["queued", "encoding", "finalising", "done", "failed", "cancelled"]
Shown = Literal["queued", "probing", "encoding", "finalising", "done", "failed", "cancelled"]
OPEN: frozenset[State] = frozenset({"queued", "encoding", "finalising"})
OVER: frozenset[Shown] = frozenset({"done", "failed", "cancelled"})
#: Pieces of work that are no chunk of the plan; they are counted in the same rows.
PROBE_PIECE, FINAL_PIECE = "probe", "final"
#: A ticket that waits in a queue is sent again after this long all the same: the queue may be another's.
PATIENCE = timedelta(minutes=10)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row. `seller` is who owns the title: `can` reads it."""

    id: str
    title: str
    upload: str
    seller: str
    master: str
    sha256: str
    kind: str
    state: State = "queued"
    queue: str = jobs.CPU_QUEUE
    version: str | None = None
    duration_s: float | None = None
    renditions: list[str] = []
    speed: float = 0.0
    attempts: int = 0
    ticket_at: datetime | None = None
    playable_at: datetime | None = None
    last_error: str | None = None
    error_code: str | None = None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a job: a chunk of its plan (which makes `media_s` of the title), the probe or the last step."""

    job: str
    chunk: str
    media_s: float = 0.0
    progress: dict[str, float] = {}
    started: int = 0
    failures: int = 0
    lost: int = 0
    ticket_at: datetime | None = None
    done_at: datetime | None = None

    @property
    def running(self) -> int:
        """Attempts that began and were not heard of since."""
        return self.started - self.failures - self.lost


class JobView(msgspec.Struct, frozen=True, kw_only=True):
    """A job as people see it.

    `made`: which spans of the title can be played, [start, end] in seconds, in order; `playable`: whether it can be
    watched already. `eta_s`: seconds until the rest is made, None where nobody can say.
    """

    id: str
    title: str
    state: Shown
    progress: float
    renditions: dict[str, float]
    speed: float
    last_error: str | None
    attempts: int
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    made: list[list[float]]
    playable: bool
    eta_s: float | None


class JobList(msgspec.Struct, frozen=True):
    """The jobs of a title, newest first."""

    items: list[JobView]


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A master that is complete and wants to be made playable."""

    title: str
    upload: str
    master: str
    sha256: str


class Jobs(Protocol):
    """What the actions ask of storage."""

    async def insert(self, job: Job) -> None: ...
    async def by_id(self, id: str, *, lock: bool = False) -> Job | None: ...
    async def of_title(self, title: str) -> list[Job]: ...
    async def latest(self, titles: Sequence[str]) -> list[Job]: ...
    async def open_of(self, title: str) -> list[Job]: ...
    async def open_ids(self) -> list[str]: ...
    async def stopped_since(self, since: datetime) -> list[str]: ...
    async def update(self, id: str, **fields: object) -> None: ...
    async def pieces(self, jobs: Sequence[str]) -> list[Piece]: ...
    async def put_piece(self, piece: Piece) -> None: ...
    async def drop_chunks(self, job: str) -> None: ...
    async def first_time(self, entry: str) -> bool: ...
    async def count_by_state(self) -> dict[str, int]: ...


class Leases(Protocol):
    """What is known of work that goes on; None means that Redis did not answer."""

    async def held(self, work: str) -> bool | None:
        """Whether somebody holds the lease on a piece of work."""
        ...

    async def waiting(self, queue: str) -> int | None:
        """How many tickets wait in a queue of the broker."""
        ...

    async def stop(self, jobs: Sequence[str]) -> None:
        """Tell workers that these jobs are over. Said again by the reaper, so a dead Redis is no error here."""
        ...


def planned(pieces: Sequence[Piece]) -> list[Piece]:
    """The chunks of the plan among a job's pieces."""
    return [piece for piece in pieces if piece.chunk not in (PROBE_PIECE, FINAL_PIECE)]


def is_due(piece: Piece, *, now: datetime, lease_s: float, held: bool | None, waiting: int | None) -> bool:
    """Whether a piece that is not done gets a ticket again.

    Never while its lease is held or nobody can say, and not sooner than two leases after the last ticket. An attempt
    that began and lost its lease is lost. One that never began may still wait in the queue, so patience is longer
    while that is not empty.
    """
    if held is not False:
        return False
    if piece.ticket_at is None:
        return True
    age = now - piece.ticket_at
    if age < timedelta(seconds=2 * lease_s):
        return False
    return piece.running > 0 or waiting == 0 or age >= PATIENCE


def too_often(piece: Piece) -> bool:
    """Whether a piece failed or lost its worker so often that its job ends."""
    return piece.failures >= MAX_INPUT_FAILURES or piece.lost >= MAX_LOST_WORKERS


def lease_of(job: Job, chunk: str) -> str:
    """The name of the lease on a piece (shared/jobs.py)."""
    if chunk == PROBE_PIECE:
        return f"probe:{job.id}"
    return f"final:{job.version}" if chunk == FINAL_PIECE else f"{job.version}:{chunk}"


def ticket_of(job: Job, chunk: str) -> jobs.Ticket:
    """The ticket for a piece."""
    if chunk == PROBE_PIECE:
        return jobs.ProbeTicket(
            job=job.id, title=job.title, upload=job.upload, master=job.master, sha256=job.sha256, kind=job.kind
        )
    version = job.version or ""
    if chunk == FINAL_PIECE:
        return jobs.FinaliseTicket(job=job.id, title=job.title, version=version)
    return jobs.ChunkTicket(job=job.id, title=job.title, version=version, chunk=chunk)
