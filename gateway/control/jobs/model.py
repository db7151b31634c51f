"""Transcode jobs: rows, how far they are, when a piece of work counts as lost, and the ports they need."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, Protocol

import msgspec

from shared import jobs
from shared.jobs import MAX_INPUT_FAILURES, MAX_LOST_WORKERS, SOUND_CHUNK

State = Literal["queued", "encoding", "finalising", "done", "failed", "cancelled"]
Shown = Literal["queued", "probing", "encoding", "finalising", "done", "failed", "cancelled"]
OPEN: frozenset[State] = frozenset({"queued", "encoding", "finalising"})
OVER: frozenset[Shown] = frozenset({"done", "failed", "cancelled"})
#: The kind of a job that makes a new edition of a version; the others are the kinds of titles with media.
EDITION = "edition"
#: Pieces of work that are no chunk of the plan; they are counted in the same rows.
PROBE_PIECE, FINAL_PIECE = "probe", "final"
#: A piece that is neither leased nor waiting is offered again, but not sooner than this after the last offer.
GRACE = timedelta(seconds=5)
#: Jobs of one seller that are made like anybody's; the others wait until nobody else wants a worker.
AT_ONCE = 4
#: `Job.priority` of those others, and of the first.
BACKLOG, USUAL = 0, 1
#: The code of a job that failed because no worker could go on with it.
UNFIT = "no-worker-fits"
#: What a viewer needs before the title can be watched while the rest is made.
OPENING = frozenset({"0", SOUND_CHUNK})
#: Seconds of sound that are enough for that: it is published while it is encoded, and comes faster than it plays.
OPENING_S = 8.0


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job's row. `seller` is who owns the title: `can` reads it.

    `kind`: video or audio, or `edition` for a new edition of a version that is whole. `encoder` is the class that the
    plan must be for, empty for any. `edition` and `ceilings` are those to be watched while it is made, from
    `playable_at` on. `last_error`: why it failed, or while it is open what it waits for.
    """

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
    width: int | None = None
    height: int | None = None
    renditions: list[str] = []
    speed: float = 0.0
    attempts: int = 0
    encoder: str = ""
    priority: int = USUAL
    memory_bytes: int = 0
    edition: str | None = None
    ceilings: list[str] = []
    playable_at: datetime | None = None
    mode: Literal["fixed", "per-title"] = "fixed"
    loudness: bool = False
    ticket_at: datetime | None = None
    last_error: str | None = None
    error_code: str | None = None
    queued_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a job: a chunk of its plan, the probe or the last step.

    `media_s`: seconds of the title that it makes; `score`: how much it is wanted (shared/need.py).
    """

    job: str
    chunk: str
    media_s: float = 0.0
    score: float = 0.0
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
    watched already. `eta_s`: seconds until the rest is made, None where nobody can say. `waits_for`: what no worker has
    that it needs, in words. `refused`: its master cannot be taken, so another try would fail like this one.
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
    waits_for: str | None
    refused: bool


class JobList(msgspec.Struct, frozen=True):
    """The jobs of a title, newest first."""

    items: list[JobView]


class NewJob(msgspec.Struct, frozen=True, kw_only=True):
    """A master that is complete and wants to be made playable."""

    title: str
    upload: str
    master: str
    sha256: str
    mode: Literal["fixed", "per-title"] = "fixed"
    loudness: bool = False


class Stopped(msgspec.Struct, frozen=True):
    """A job that failed or was cancelled, and its version unless another job makes or made that too."""

    job: str
    version: str | None


class Jobs(Protocol):
    """What the actions ask of storage."""

    async def insert(self, job: Job) -> None: ...
    async def by_id(self, id: str, *, lock: bool = False) -> Job | None: ...
    async def of_title(self, title: str) -> list[Job]: ...
    async def latest(self, titles: Sequence[str]) -> list[Job]: ...
    async def open_of(self, title: str) -> list[Job]: ...
    async def open_ids(self) -> list[str]: ...
    async def open_count(self, seller: str, *, priority: int) -> int: ...
    async def first_of_backlog(self, seller: str) -> Job | None: ...
    async def stopped_since(self, since: datetime) -> list[Stopped]: ...
    async def subtitles(self, title: str) -> list[jobs.Subtitle]: ...
    async def update(self, id: str, **fields: object) -> None: ...
    async def pieces(self, jobs: Sequence[str]) -> list[Piece]: ...
    async def put_piece(self, piece: Piece) -> None: ...
    async def drop_chunks(self, job: str) -> None: ...
    async def first_time(self, entry: str) -> bool: ...
    async def count_by_state(self) -> dict[str, int]: ...


class Leases(Protocol):
    """What is known of work that goes on, by the names of shared/need.py; None means that Redis did not answer."""

    async def held(self, works: Sequence[str]) -> dict[str, bool] | None:
        """Whether each piece of work is leased, or waits to be taken."""
        ...

    async def leased(self, works: Sequence[str]) -> dict[str, bool] | None:
        """Whether somebody works at each piece."""
        ...

    async def waits_s(self, job: str, *, now: float, is_unfit: bool) -> float:
        """For how long, up to `now` (s of the epoch), no worker fits a job; forgotten once one does."""
        ...

    async def stop(self, jobs: Sequence[str], *, versions: Sequence[str] = ()) -> None:
        """Tell workers that these jobs are over. Said again by the reaper, so a dead Redis is no error here."""
        ...


def planned(pieces: Sequence[Piece]) -> list[Piece]:
    """The chunks of the plan among a job's pieces."""
    return [piece for piece in pieces if piece.chunk not in (PROBE_PIECE, FINAL_PIECE)]


def is_due(piece: Piece, *, now: datetime, held: bool | None) -> bool:
    """Whether a piece that is not done is offered again: nobody has it and it waits nowhere, and that is known."""
    return held is False and (piece.ticket_at is None or now - piece.ticket_at >= GRACE)


def too_often(piece: Piece) -> bool:
    """Whether a piece failed or lost its worker so often that its job ends."""
    return piece.failures >= MAX_INPUT_FAILURES or piece.lost >= MAX_LOST_WORKERS


def is_playable(job: Job, pieces: Sequence[Piece]) -> bool:
    """Whether the title can be watched from now on while the rest is made."""
    opening = [piece for piece in planned(pieces) if piece.chunk in OPENING]
    if not (job.edition and job.playable_at is None and opening):
        return False
    return all(piece.done_at or heard_s(piece, duration_s=job.duration_s or 0.0) >= OPENING_S for piece in opening)


def heard_s(piece: Piece, *, duration_s: float) -> float:
    """Seconds of a title's sound that can be fetched: about half of what is encoded, no end once the piece is done."""
    if piece.done_at is not None:
        return math.inf
    is_sound = piece.chunk == SOUND_CHUNK
    return min(piece.progress.values(), default=0.0) * duration_s / 2 if is_sound else 0.0


def plan_of(job: Job, chunk: str) -> str:
    """The plan under which a piece is offered: the version, or the job before it has one."""
    return job.id if chunk == PROBE_PIECE else job.version or job.id


def ticket_of(job: Job, chunk: str, subtitles: Sequence[jobs.Subtitle] = ()) -> jobs.Ticket:
    """The ticket for a piece; the last step lists the `subtitles` that the title has then."""
    if chunk == PROBE_PIECE:
        return jobs.ProbeTicket(
            job=job.id,
            title=job.title,
            upload=job.upload,
            master=job.master,
            sha256=job.sha256,
            kind=job.kind,
            encoder=job.encoder,
            mode=job.mode,
            loudness=job.loudness,
        )
    version = job.version or ""
    if chunk == FINAL_PIECE:
        return jobs.FinaliseTicket(job=job.id, title=job.title, version=version, subtitles=tuple(subtitles))
    return jobs.ChunkTicket(job=job.id, title=job.title, version=version, chunk=chunk)
