"""Making the picture of one chunk: all renditions by one ffmpeg."""

from __future__ import annotations

import msgspec

from farm import boxes, codecs, command, package, run, slots
from farm.encoders import encoder
from farm.grid import video_segments
from farm.making import Making, ffmpeg, written
from farm.plan import Plan
from farm.playlists import Track
from farm.progress import Growing, fractions
from farm.publish import Attempt, Marker
from shared.errors import EncodeFailed
from shared.ladder import Rendition


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

    argv = command.video(plan, piece, bench, encoder=encoder(plan.encoder))
    async with slots.on_card(plan, making.settings, cap=making.engine.sessions_cap):
        await ffmpeg(making, argv, bench.folder, tell=tell)
    tracks = [await _written(making, bench, attempt, rendition=rendition) for rendition in picture.renditions]
    return await attempt.win(tracks, piece.frames)


async def _written(making: Making, bench: command.Bench, attempt: Attempt, *, rendition: Rendition) -> Track:
    """Cut, check and write one rendition. Raises EncodeFailed where it would not join what others made of the title."""
    plan, grid = making.plan, making.plan.picture.grid
    pieces = package.video(bench.folder / f"{rendition.name}.mp4", grid, plan.piece(making.chunk))
    track, init = await written(attempt, rendition.name, pieces, timescale=grid.timescale)
    codec = boxes.codec(init)
    if codec != (planned := codecs.of(rendition, grid.rate)):
        raise EncodeFailed(f"{rendition.name} came as {codec} instead of {planned}", code="codec-differs")
    if not await attempt.agrees(plan.title, f"{rendition.name}/init.mp4"):
        raise EncodeFailed(f"{rendition.name} does not join what others made of it", code="init-differs", lost=True)
    return msgspec.structs.replace(track, codec=codec, width=rendition.width, height=rendition.height)
