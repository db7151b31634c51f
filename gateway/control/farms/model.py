"""The farm as values: workers, queues, jobs and their pieces; what they are made of, and the port the actions need."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from gateway.control.jobs.model import Piece
from shared.jobs import PROBE_CHUNK

Standing = Literal["open", "cordon", "drain"]
Which = Literal["open", "over"]
#: Jobs in one answer.
PAGE = 200


class GpuView(msgspec.Struct, frozen=True, kw_only=True):
    """A card of a worker; null: it has no such unit, or does not say."""

    index: int
    name: str
    memory_free_bytes: int
    encoder_percent: int | None
    decoder_percent: int | None
    celsius: int | None


class WorkView(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of work that is being made. `job`, `title` and `name` are empty where no row is found for it."""

    chunk: str
    job: str = ""
    title: str = ""
    name: str = ""


class WorkerView(msgspec.Struct, frozen=True, kw_only=True):
    """A worker that was heard of lately. `speed` is a multiple of real time, `sessions` are NVENC's."""

    name: str
    queues: Sequence[str]
    encoder: str
    build: str
    state: Standing
    since: datetime | None
    speed: float
    sessions: int
    sessions_cap: int
    gpus: list[GpuView]
    running: list[WorkView]


class QueueView(msgspec.Struct, frozen=True, kw_only=True):
    """A queue: how many workers take from it, and what waits and runs, in pieces and in seconds of titles."""

    queue: str
    workers: int
    waiting: int
    running: int
    waiting_media_s: float
    running_media_s: float


class FarmView(msgspec.Struct, frozen=True, kw_only=True):
    """The farm now. `speed`: seconds of titles made in a second, by all workers together."""

    queues: list[QueueView]
    workers: list[WorkerView]
    speed: float


class Order(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a worker is to stand: `cordon` takes nothing more, `drain` leaves too once it is idle, `open` works on."""

    state: Standing


class Marked(msgspec.Struct, frozen=True, kw_only=True):
    """A worker, how it was told to stand, and since when it runs; null where it was not heard of lately."""

    name: str
    state: Standing
    since: datetime | None


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """A job in a list. `pieces` of its plan are known once it has one."""

    id: str
    title: str
    name: str
    seller: str
    state: str
    queue: str
    encoder: str
    version: str | None
    duration_s: float | None
    speed: float
    pieces: int
    done: int
    failures: int
    lost: int
    last_error: str | None
    queued_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobLines(msgspec.Struct, frozen=True):
    """Jobs that are open, oldest first, or that failed or were cancelled, newest first; `more` are not shown."""

    items: list[JobLine]
    more: bool


class PieceView(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of a job. `worker`: who is at it now, empty where nobody is known to be."""

    chunk: str
    state: Literal["waiting", "running", "done"]
    progress: float
    started: int
    failures: int
    lost: int
    worker: str
    done_at: datetime | None


class JobPieces(msgspec.Struct, frozen=True, kw_only=True):
    """A job piece by piece. `is_live` is false where Redis does not answer: then nobody knows who is at what."""

    job: JobLine
    pieces: list[PieceView]
    is_live: bool


class Owner(msgspec.Struct, frozen=True):
    """The job that a plan, or a job without one, stands for."""

    id: str
    version: str | None
    title: str
    name: str


class FarmRows(Protocol):
    """What the actions ask of the rows."""

    async def owners(self, plans: Sequence[str]) -> list[Owner]: ...
    async def open(self, limit: int) -> list[JobLine]: ...
    async def over(self, limit: int) -> list[JobLine]: ...
    async def line(self, id: str) -> JobLine | None: ...


class Pieces(Protocol):
    """Where pieces of jobs are found; jobs provides it."""

    async def pieces(self, jobs: Sequence[str]) -> list[Piece]: ...


def work_view(work: str, owners: Mapping[str, Owner]) -> WorkView:
    """A piece of work by its name (`<plan> <chunk>`), with whose it is."""
    plan, _, chunk = work.partition(" ")
    owner = owners.get(plan)
    if owner is None:
        return WorkView(chunk=chunk)
    return WorkView(chunk=chunk, job=owner.id, title=owner.title, name=owner.name)


def by_plan(owners: Sequence[Owner]) -> dict[str, Owner]:
    """Owners by the names that work has: the version, and the job itself before there is one."""
    return {plan: owner for owner in owners for plan in (owner.version, owner.id) if plan}


def piece_view(piece: Piece, worker: str, *, has_plan: bool) -> PieceView:
    """A piece as it stands. The probe has no marker: that there is a plan says that it is done."""
    is_done = piece.done_at is not None or (piece.chunk == PROBE_CHUNK and has_plan and not worker)
    fractions = piece.progress.values()
    progress = 1.0 if is_done else sum(fractions) / len(fractions) if fractions else 0.0
    return PieceView(
        chunk=piece.chunk,
        state="done" if is_done else "running" if worker or piece.running > 0 else "waiting",
        progress=round(progress, 4),
        started=piece.started,
        failures=piece.failures,
        lost=piece.lost,
        worker=worker,
        done_at=piece.done_at,
    )


def wished(piece: Piece) -> tuple[int, int, str]:
    """The order in which pieces are shown: the probe, the picture's chunks by number, then the rest by name."""
    number = int(piece.chunk) if piece.chunk.isdigit() else 0
    return (0 if piece.chunk == PROBE_CHUNK else 1 if piece.chunk.isdigit() else 2, number, piece.chunk)
