"""How far a job is, as people see it: fractions, the spans of the title that can be played, when the rest is made."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gateway.control.jobs.model import (
    OPEN,
    PROBE_PIECE,
    UNFIT,
    Job,
    JobView,
    Piece,
    State,
    heard_s,
    planned,
    too_often,
)
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK, STORYBOARD_CHUNK

#: What is shown while the playlists are written.
NEARLY = 0.98
#: A picture is most of the work; all the sound of a title costs about a tenth of it, its stills next to nothing.
COSTS: Mapping[str, float] = {SOUND_CHUNK: 0.1, POSTER_CHUNK: 0.01, STORYBOARD_CHUNK: 0.01}
#: Spans that lie closer are one (chunks end on frames, and figures are rounded).
TOUCH_S = 0.01


def view(job: Job, pieces: Sequence[Piece], *, probing: bool = False) -> JobView:
    """A job and its pieces as people see them; `probing` when somebody holds the lease on its probe."""
    chunks = planned(pieces)
    renditions = rendition_progress(job.renditions, chunks)
    begun = any(piece.chunk == PROBE_PIECE and piece.running > 0 for piece in pieces)
    return JobView(
        id=job.id,
        title=job.title,
        state="probing" if job.state == "queued" and (probing or begun) else job.state,
        progress=_progress(job.state, chunks),
        renditions=dict.fromkeys(renditions, 1.0) if job.state == "done" else renditions,
        speed=job.speed if job.state == "encoding" else 0.0,
        last_error=None if job.state in OPEN else job.last_error,
        attempts=job.attempts,
        queued_at=job.queued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        made=made(chunks, duration_s=job.duration_s or 0.0),
        playable=job.state == "done" or (job.state in ("encoding", "finalising") and job.playable_at is not None),
        eta_s=_eta_s(job, chunks),
        waits_for=job.last_error if job.state in OPEN else None,
        refused=_refused(job, pieces),
    )


def made(chunks: Sequence[Piece], *, duration_s: float) -> list[list[float]]:
    """The spans of a title, [start, end] in seconds, that can be played: picture and sound of them are there."""
    sound = next((chunk for chunk in chunks if chunk.chunk == SOUND_CHUNK), None)
    heard = math.inf if sound is None else heard_s(sound, duration_s=duration_s)
    pictures = _pictures(chunks)
    if not pictures:
        return [[0.0, round(min(heard, duration_s), 3)]] if sound is not None and heard else []
    spans: list[list[float]] = []
    end = 0.0
    for chunk in pictures:
        start, end = end, end + chunk.media_s
        until = min(end, heard)
        if chunk.done_at is None or until <= start:
            continue
        if spans and start - spans[-1][1] < TOUCH_S:
            spans[-1][1] = round(until, 3)
        else:
            spans.append([round(start, 3), round(until, 3)])
    return spans


def rendition_progress(renditions: Sequence[str], chunks: Sequence[Piece]) -> dict[str, float]:
    """How far each rendition is: the mean over the chunks that make it, weighed by how much of the title they are."""
    alone = any(chunk.chunk == SOUND_CHUNK for chunk in chunks)
    answer = {}
    for name in renditions:
        sound = alone and name.startswith("audio")
        makers = [c for c in chunks if c.chunk == SOUND_CHUNK] if sound else _pictures(chunks)
        whole = sum(map(_weight, makers))
        done = sum(_weight(c) * (1.0 if c.done_at else c.progress.get(name, 0.0)) for c in makers)
        answer[name] = round(done / whole, 4) if whole else 0.0
    return answer


def merge_progress(old: Mapping[str, float], new: Mapping[str, float]) -> dict[str, float]:
    """Progress never goes back, whatever order reports come in."""
    return {name: max(old.get(name, 0.0), min(max(new.get(name, 0.0), 0.0), 1.0)) for name in {*old, *new}}


def _refused(job: Job, pieces: Sequence[Piece]) -> bool:
    """Whether a rule ended it: it was not tried too often, and there was a worker for it."""
    return job.state == "failed" and job.error_code != UNFIT and not any(map(too_often, pieces))


def _progress(state: State, chunks: Sequence[Piece]) -> float:
    if state in ("done", "finalising"):
        return 1.0 if state == "done" else NEARLY
    picture = sum(map(_weight, _pictures(chunks))) or 1.0
    costs = [COSTS[chunk.chunk] * picture if chunk.chunk in COSTS else _weight(chunk) for chunk in chunks]
    done = sum(cost * _fraction(chunk) for cost, chunk in zip(costs, chunks, strict=True))
    return round(NEARLY * done / sum(costs), 4) if chunks else 0.0


def _eta_s(job: Job, chunks: Sequence[Piece]) -> float | None:
    """By the speed that was told last, as if every worker that is at it had the same."""
    left = [chunk for chunk in _pictures(chunks) if chunk.done_at is None]
    rate = job.speed * sum(chunk.running > 0 for chunk in left)
    if job.state != "encoding" or rate <= 0:
        return None
    return round(sum(chunk.media_s * (1 - _fraction(chunk)) for chunk in left) / rate, 1)


def _pictures(chunks: Sequence[Piece]) -> list[Piece]:
    return sorted((chunk for chunk in chunks if chunk.chunk.isdigit()), key=lambda chunk: int(chunk.chunk))


def _weight(chunk: Piece) -> float:
    return chunk.media_s or 1.0


def _fraction(chunk: Piece) -> float:
    if chunk.done_at:
        return 1.0
    return sum(chunk.progress.values()) / len(chunk.progress) if chunk.progress else 0.0
