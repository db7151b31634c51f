"""What is published of a version as soon as it is planned, so that it can be watched while it is made.

Media playlists follow from the grid alone, so they never change. The rates of this edition are the most that the plan
allows; the finished version gets an edition with those that came out.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Final

import msgspec

from farm import codecs, editions, playlists
from farm import publish as publishing
from farm.editions import Edition, Rate
from farm.grid import SOUND_FRAME, SOUND_RATE, sound_segments, video_segments
from farm.plan import Plan
from farm.publish import JSON_TYPE
from shared.jobs import Outline
from shared.storage import Bucket, names

#: What boxes, and encoders that miss their rate a little, may add to it.
_SLACK: Final = Fraction(11, 10)


async def publish(bucket: Bucket, plan: Plan, *, job: str) -> tuple[str, tuple[str, ...]]:
    """Write outline and playlists; may be repeated. The edition that can be played while it is made, and its ceilings.

    Raises EncodeFailed where other playlists lie there.
    """
    made = edition(plan)
    await publishing.put_edition(bucket, made, title=plan.title, version=plan.version)
    outline = msgspec.json.encode(outlined(plan, job=job))
    await bucket.put_if_absent(names.outline(plan.title, plan.version), outline, content_type=JSON_TYPE)
    return made.name, tuple(made.tops)


def edition(plan: Plan) -> Edition:
    """The edition of what will be made."""
    indexes = {name: playlists.media(ticks, timescale) for name, (ticks, timescale) in _lengths(plan).items()}
    return Edition(indexes, editions.ceilings(plan, _rates(plan)))


def outlined(plan: Plan, *, job: str) -> Outline:
    """What an edge is to know of a plan."""
    chunks = []
    if plan.video is not None:
        per_segment = plan.video.grid.segment_frames
        chunks = [
            (piece.name, piece.first_frame // per_segment, len(video_segments(piece.frames, per_segment)))
            for piece in plan.pieces
        ]
    segments = {name: len(ticks) for name, (ticks, _) in _lengths(plan).items()}
    return Outline(job, plan.duration_s, segments, tuple(chunks), tuple(sound.name for sound in plan.sounds))


def _lengths(plan: Plan) -> dict[str, tuple[list[int], int]]:
    """Ticks of each segment of each rendition, and its clock."""
    found = {}
    if plan.video is not None:
        grid = plan.video.grid
        ticks = [frames * grid.frame_ticks for frames in video_segments(plan.video.frames, grid.segment_frames)]
        found = {rendition.name: (ticks, grid.timescale) for rendition in plan.video.renditions}
    for sound in plan.sounds:
        frames = sound_segments(sound.samples, sound.segment_s)
        found[sound.name] = [count * SOUND_FRAME for count in frames], SOUND_RATE
    return found


def _rates(plan: Plan) -> dict[str, Rate]:
    """The most that the plan allows: over a segment, a decoder's full buffer comes on top of the top rate."""
    found = {sound.name: _rate(codecs.SOUND, sound.kbps, Fraction(sound.kbps)) for sound in plan.sounds}
    if plan.video is not None:
        grid = plan.video.grid
        for rendition in plan.video.renditions:
            peak = rendition.maxrate_kbps + rendition.bufsize_kbits / grid.segment_s
            found[rendition.name] = _rate(codecs.of(rendition, grid.rate), rendition.maxrate_kbps, peak)
    return found


def _rate(codec: str, kbps: int, peak_kbps: Fraction) -> Rate:
    return Rate(codec, peak_bps=int(1000 * peak_kbps * _SLACK), average_bps=1000 * kbps)
