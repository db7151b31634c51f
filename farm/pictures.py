"""Making the picture of one chunk: all renditions by one ffmpeg."""

from __future__ import annotations

import msgspec

from farm import boxes, command, package, run
from farm.encoders import encoder
from farm.grid import video_segments
from farm.making import Making, ffmpeg, written
from farm.plan import Plan
from farm.progress import Growing, fractions
from farm.publish import Attempt, Marker


def names_of(plan: Plan) -> tuple[str, ...]:
    """The renditions it makes."""
    return tuple(rendition.name for rendition in plan.video.renditions) if plan.video else ()


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """Encode with the plan's encoder, cut into segments, and try to become the result."""
    plan, piece = making.plan, making.plan.piece(making.chunk)
    picture, grid = plan.picture, plan.picture.grid
    segments = len(video_segments(piece.frames, grid.segment_frames))
    files = {name: Growing(bench.folder / f"{name}.mp4") for name in names_of(plan)}

    def tell(found: run.Progress) -> None:
        at = fractions(files, segments=segments, frames=piece.frames, frame=found.frame)
        making.feed.update(at, found.speed)

    await ffmpeg(making, command.video(plan, piece, bench, encoder=encoder(plan.encoder)), bench.folder, tell=tell)
    tracks = []
    for rendition in picture.renditions:
        pieces = package.video(bench.folder / f"{rendition.name}.mp4", grid, piece)
        track, init = await written(attempt, rendition.name, pieces, timescale=grid.timescale)
        track = msgspec.structs.replace(
            track, codec=boxes.avc_codec(init), width=rendition.width, height=rendition.height
        )
        tracks.append(track)
    return await attempt.win(tracks, piece.frames)
