"""Making all sounds of a title."""

from __future__ import annotations

import asyncio

import msgspec

from farm import command, loudness, package, run
from farm.ahead import Ahead
from farm.grid import SOUND_RATE
from farm.making import Making, ffmpeg, written
from farm.plan import Plan
from farm.publish import Attempt, Marker
from shared.tasks import end


def names_of(plan: Plan) -> tuple[str, ...]:
    """The renditions it makes."""
    return tuple(sound.name for sound in plan.sounds)


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """Encode every sound whole, cut each near the picture's borders, and try to become the result.

    What is encoded is published at once, and adopted by an attempt that comes after: viewers need not wait for the end.
    Where the plan wants its loudness evened, a first pass measures what the second makes louder or quieter.
    """
    plan, gains = making.plan, {}
    if plan.loudness:
        await ffmpeg(making, command.measure(plan, bench), bench.folder)
        gains = {name: loudness.gain_db(bench.folder, name) for name in names_of(plan)}

    seconds, ahead = plan.sound.samples / SOUND_RATE, Ahead(plan, bench.folder, attempt)

    def tell(found: run.Progress) -> None:
        ahead.encoded_s = found.seconds
        making.feed.update(dict.fromkeys(names_of(plan), found.seconds / seconds), found.speed)

    publishing = asyncio.create_task(ahead.run())
    try:
        await ffmpeg(making, command.sound(plan, bench, gains=gains), bench.folder, tell=tell)
    finally:
        await end(publishing)
    tracks = []
    for sound in plan.sounds:
        pieces = package.sound(bench.folder / f"{sound.name}.mp4", sound.samples, sound.segment_s)
        track, _ = await written(attempt, sound.name, pieces, timescale=SOUND_RATE, adopting=plan.title)
        tracks.append(msgspec.structs.replace(track, codec=package.SOUND_CODEC))
    return await attempt.win(tracks, plan.sound.samples, loudness_lufs=loudness.measured(bench.folder, plan.sound.name))
