"""Work for the farm: its queues, the tickets that say what to do, and the messages farm workers send back.

Truth is elsewhere: the job row in Postgres, and "chunk done" is its marker in the bucket. Tickets and messages only
hasten things; every one may be lost or come twice.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

#: Celery's queues, and the one task. It carries nothing: whoever gets it takes the most wanted piece (shared/need.py).
CPU_QUEUE, GPU_QUEUE = "cpu", "gpu"
QUEUES = (CPU_QUEUE, GPU_QUEUE)
WORK = "farm.work"
#: How both sides declare the queues: RabbitMQ refuses a queue declared in two ways, Redis does not look at this.
QUEUE_ARGUMENTS = {"x-queue-type": "quorum"}
#: Names of pieces of work besides the picture's chunks "0", "1", …: the look at the master, the whole sound, stills,
#: the pictures along the seek bar, and the last step.
PROBE_CHUNK, FINAL_CHUNK = "probe", "final"
SOUND_CHUNK, POSTER_CHUNK, STORYBOARD_CHUNK = "sound", "poster", "storyboard"
#: Failures of the input and lost workers that end a job.
MAX_INPUT_FAILURES, MAX_LOST_WORKERS = 3, 20


def cancel_key(job: str) -> str:
    """Redis key whose existence tells a worker to stop the job."""
    return f"farm:cancel:{job}"


class ProbeTicket(msgspec.Struct, frozen=True, tag="probe"):
    """Look at a master, refuse or plan it, write `work/<version>/plan.json`.

    `encoder` empty: the class of the worker that looks. `mode`: the ladder's rates, or those that a few trial encodes
    choose for this title. `loudness`: bring it to -16 LUFS.
    """

    job: str
    title: str
    upload: str
    master: str
    sha256: str
    kind: str = "video"
    encoder: str = ""
    mode: Literal["fixed", "per-title"] = "fixed"
    loudness: bool = False


class ChunkTicket(msgspec.Struct, frozen=True, tag="chunk"):
    """Make one chunk of a planned version."""

    job: str
    title: str
    version: str
    chunk: str


class Subtitle(msgspec.Struct, frozen=True):
    """One set of subtitles: its source in the bucket (`names.subtitle_source`), and how players list it."""

    id: str
    language: str
    label: str
    key: str
    sha256: str
    default: bool = False
    forced: bool = False


class FinaliseTicket(msgspec.Struct, frozen=True, tag="finalise"):
    """All markers are there: check, write playlists, ready.json and the edition.

    On a version that is ready it writes the subtitles and an edition that lists them.
    """

    job: str
    title: str
    version: str
    subtitles: tuple[Subtitle, ...] = ()


Ticket = ProbeTicket | ChunkTicket | FinaliseTicket


class Outline(msgspec.Struct, frozen=True):
    """`v/<title>/<version>/grid.json`: what an edge knows of a version in the making, written once by the probe.

    `segments`: how many each rendition's folder will hold. `chunks`: name, first segment and number of segments of each
    chunk of the picture. `sounds`: the renditions that the chunk of sound makes.
    """

    job: str
    duration_s: float
    segments: dict[str, int]
    chunks: tuple[tuple[str, int, int], ...]
    sounds: tuple[str, ...]

    def chunk_of(self, rendition: str, number: int) -> str | None:
        """The chunk that makes a segment (-1: the init); None past the end, or of no rendition of this version."""
        if rendition not in self.segments or number >= self.segments[rendition]:
            return None
        if rendition in self.sounds:
            return SOUND_CHUNK
        at = max(number, 0)
        return next((name for name, first, count in self.chunks if first <= at < first + count), None)


class RenditionPlan(msgspec.Struct, frozen=True):
    """One rendition as control and pages show it; `name` is its folder (`1080`, `audio-0`)."""

    name: str
    width: int = 0
    height: int = 0


class PieceFacts(msgspec.Struct, frozen=True):
    """A chunk as the queue sees it: how much of the title it makes, and how much it is wanted (shared/need.py)."""

    chunk: str
    media_s: float
    score: float


class Planned(msgspec.Struct, frozen=True, tag="planned"):
    """A job has a plan: the version, how long it is, what will be made and in which chunks.

    `edition` and `ceilings`: the playlists that are there already, to play it while it is made.
    """

    job: str
    version: str
    duration_s: float
    width: int
    height: int
    frames: int
    renditions: tuple[RenditionPlan, ...]
    chunks: tuple[str, ...]
    queue: str = CPU_QUEUE
    pieces: tuple[PieceFacts, ...] = ()
    encoder: str = ""
    memory_bytes: int = 0
    edition: str = ""
    ceilings: tuple[str, ...] = ()
    has_storyboard: bool = False


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A worker began an attempt at a chunk (counted before the start, so a lost worker is known).

    `version`, here and below: the plan it belongs to; empty for the probe, which has none yet.
    """

    job: str
    chunk: str
    attempt: str
    version: str = ""


class GivenBack(msgspec.Struct, frozen=True, tag="given_back"):
    """An attempt ended before its time, and not by its own fault: it does not count."""

    job: str
    chunk: str
    version: str = ""


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far a chunk is: fraction 0…1 by rendition name, and speed as a multiple of real time."""

    job: str
    chunk: str
    renditions: dict[str, float]
    speed: float = 0.0
    version: str = ""


class ChunkDone(msgspec.Struct, frozen=True, tag="chunk_done"):
    """The marker of a chunk exists."""

    job: str
    chunk: str
    version: str = ""


#: Code of an attempt whose ffmpeg was ended from outside. The next may begin at once, on the same machine too.
KILLED: Final = "killed"


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """An attempt failed. `final` failures end the job; `words` is for the person who uploaded.

    `lost`: not the input's fault, so it counts like a worker that vanished.
    """

    job: str
    chunk: str
    code: str
    words: str
    final: bool = False
    lost: bool = False
    version: str = ""


class Replan(msgspec.Struct, frozen=True, tag="replan"):
    """The plan's encoder is of no use any more: plan the version anew for `encoder`. `why` is for operators."""

    job: str
    version: str
    encoder: str
    why: str


class Finished(msgspec.Struct, frozen=True):
    """`ready.json`: what a version and its edition are. `ceilings` are its multivariant playlists, highest first."""

    version: str
    edition: str
    ceilings: tuple[str, ...]
    duration_s: float
    width: int
    height: int
    has_poster: bool
    has_storyboard: bool = False
    languages: tuple[str, ...] = ()
    loudness_lufs: float | None = None
    posters: int = 1


class Ready(Finished, frozen=True, kw_only=True, tag="ready"):
    """ready.json and the edition exist."""

    job: str


Message = Planned | Started | GivenBack | Progress | ChunkDone | Failed | Ready | Replan
