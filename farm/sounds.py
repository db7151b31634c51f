"""Making the sound of a title."""

from __future__ import annotations

import msgspec

from farm import command, package, run
from farm.grid import SOUND_RATE
from farm.making import Making, ffmpeg, written
from farm.plan import Plan
from farm.publish import Attempt, Marker


def names_of(plan: Plan) -> tuple[str, ...]:
    """The renditions it makes."""
    return (plan.sound.name,)


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """Encode the whole sound, cut it near the picture's borders, and try to become the result."""
    wanted, seconds = making.plan.sound, making.plan.sound.samples / SOUND_RATE

    def tell(found: run.Progress) -> None:
        making.feed.update({wanted.name: found.seconds / seconds}, found.speed)

    await ffmpeg(making, command.sound(making.plan, bench), bench.folder, tell=tell)
    pieces = package.sound(bench.folder / f"{wanted.name}.mp4", wanted.samples, wanted.segment_s)
    track, _ = await written(attempt, wanted.name, pieces, timescale=SOUND_RATE)
    return await attempt.win([msgspec.structs.replace(track, codec=package.SOUND_CODEC)], wanted.samples)
