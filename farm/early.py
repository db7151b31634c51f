"""What is published of a version as soon as it is planned, so that it can be watched while it is made."""

from __future__ import annotations

import msgspec

from farm.grid import sound_segments, video_segments
from farm.plan import Plan
from farm.publish import JSON_TYPE
from shared.jobs import Outline
from shared.storage import Bucket, names


async def publish(bucket: Bucket, plan: Plan, *, job: str) -> tuple[str, tuple[str, ...]]:
    """Write the outline; may be repeated. The edition that can be played while it is made, and its ceilings."""
    outline = msgspec.json.encode(outlined(plan, job=job))
    await bucket.put_if_absent(names.outline(plan.title, plan.version), outline, content_type=JSON_TYPE)
    return "", ()


def outlined(plan: Plan, *, job: str) -> Outline:
    """What an edge is to know of a plan."""
    segments = {sound.name: len(sound_segments(sound.samples, sound.segment_s)) for sound in plan.sounds}
    chunks = []
    if plan.video is not None:
        per_segment = plan.video.grid.segment_frames
        whole = len(video_segments(plan.video.frames, per_segment))
        segments |= {rendition.name: whole for rendition in plan.video.renditions}
        chunks = [
            (piece.name, piece.first_frame // per_segment, len(video_segments(piece.frames, per_segment)))
            for piece in plan.pieces
        ]
    return Outline(job, plan.duration_s, segments, tuple(chunks), tuple(sound.name for sound in plan.sounds))
