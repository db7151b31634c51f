"""Work for the farm: Celery task names, their tickets, and the messages farm workers send back.

Truth is elsewhere: the job row in Postgres, and "chunk done" is its marker in the bucket. Tickets and messages only
hasten things; every one may be lost or come twice.
"""

from __future__ import annotations

import msgspec

#: Celery queues and task names.
CPU_QUEUE, GPU_QUEUE = "cpu", "gpu"
PROBE, CHUNK, FINALISE = "farm.probe", "farm.chunk", "farm.finalise"
#: Chunk names besides "0", "1", …: the whole sound, and the poster.
SOUND_CHUNK, POSTER_CHUNK = "sound", "poster"
#: Failures of the input and lost workers that end a job.
MAX_INPUT_FAILURES, MAX_LOST_WORKERS = 3, 20


def lease_key(work: str) -> str:
    """Redis key of the lease on one piece of work (`probe:<job>`, `<version>:<chunk>`, `final:<version>`)."""
    return f"farm:lease:{work}"


def cancel_key(job: str) -> str:
    """Redis key whose existence tells a worker to stop the job."""
    return f"farm:cancel:{job}"


class ProbeTicket(msgspec.Struct, frozen=True):
    """Look at a master, refuse or plan it, write `work/<version>/plan.json`."""

    job: str
    title: str
    upload: str
    master: str
    sha256: str
    kind: str = "video"


class ChunkTicket(msgspec.Struct, frozen=True):
    """Make one chunk of a planned version."""

    job: str
    title: str
    version: str
    chunk: str


class FinaliseTicket(msgspec.Struct, frozen=True):
    """All markers are there: check, write playlists, ready.json and the edition."""

    job: str
    title: str
    version: str


class RenditionPlan(msgspec.Struct, frozen=True):
    """One rendition as control and pages show it; `name` is its folder (`1080`, `audio-0`)."""

    name: str
    width: int = 0
    height: int = 0


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """A job has a plan: the version, how long it is, what will be made and in which chunks."""

    job: str
    version: str
    duration_s: float
    width: int
    height: int
    frames: int
    renditions: tuple[RenditionPlan, ...]
    chunks: tuple[str, ...]
    queue: str = CPU_QUEUE


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A worker began an attempt at a chunk (counted before the start, so a lost worker is known)."""

    job: str
    chunk: str
    attempt: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a chunk is: fraction 0…1 by rendition name, and speed as a multiple of real time."""

    job: str
    chunk: str
    renditions: dict[str, float]
    speed: float = 0.0


class ChunkDone(msgspec.Struct, frozen=True, tag="chunk_done"):
    """The marker of a chunk exists."""

    job: str
    chunk: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An attempt failed. `final` failures end the job; `words` is for the person who uploaded."""

    job: str
    chunk: str
    code: str
    words: str
    final: bool = False


class Finished(msgspec.Struct, frozen=True):
    """`ready.json`: what a version and its edition are. `ceilings` are its multivariant playlists, highest first."""

    version: str
    edition: str
    ceilings: tuple[str, ...]
    duration_s: float
    width: int
    height: int
    has_poster: bool


class Ready(Finished, frozen=True, kw_only=True, tag="ready"):
    """ready.json and the edition exist."""

    job: str


Message = Planned | Started | Progress | ChunkDone | Failed | Ready
