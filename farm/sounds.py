"""Making all sounds of a title."""

from __future__ import annotations

import msgspec

from farm import command, loudness, package, run
from farm.grid import SOUND_RATE
from farm.making import Making, ffmpeg, written
from farm.plan import Plan
from farm.publish import Attempt, Marker


def names_of(plan: Plan) -> tuple[str, ...]:
    """The renditions it makes."""
    return tuple(sound.name for sound in plan.sounds)


async def make(making: Making, bench: command.Bench, attempt: Attempt) -> Marker:
    """Encode every sound whole, cut each near the picture's borders, and try to become the result.

    Where the plan wants its loudness evened, a first pass measures what the second makes louder or quieter.
    """
    plan, gains = making.plan, {}
    if plan.loudness:
        await ffmpeg(making, command.measure(plan, bench), bench.folder)
        gains = {name: loudness.gain_db(bench.folder, name) for name in names_of(plan)}

    seconds = plan.sound.samples / SOUND_RATE

    def tell(found: run.Progress) -> None:
        making.feed.update(dict.fromkeys(names_of(plan), found.seconds / seconds), found.speed)

    await ffmpeg(making, command.sound(plan, bench, gains=gains), bench.folder, tell=tell)
    tracks = []
    for sound in plan.sounds:
        pieces = package.sound(bench.folder / f"{sound.name}.mp4", sound.samples, sound.segment_s)
        track, _ = await written(attempt, sound.name, pieces, timescale=SOUND_RATE)
        tracks.append(msgspec.structs.replace(track, codec=package.SOUND_CODEC))
    return await attempt.win(tracks, plan.sound.samples, loudness_lufs=loudness.measured(bench.folder, plan.sound.name))
