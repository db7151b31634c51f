"""T6: odd masters in chunks: no frame lost or doubled over any seam, one step, one init, picture and sound together."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import msgspec

from benchmarks.farm import made
from benchmarks.farm.made import Version
from benchmarks.farm.numbered import numbers
from benchmarks.farm.oddities import AS_IT_IS, ODDITIES, TURNED, Odd
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm.plan import Plan

#: Three hours in few pictures: a part of so many seconds, so many times.
LONG, PART_S, PARTS = Odd(name="hours.mp4", rate="5", sound=()), 200, 54


class Findings(msgspec.Struct, frozen=True):
    """What a title of an odd master is like: frames that are not what they should be, steps, inits, and the skew of
    picture and sound where both were made."""

    wrong: int
    seams: int
    steps: int
    inits: int
    skew_ms: float = 0.0


async def rows(stage: Stage) -> list[Row]:
    """A row a master, and the worst of all."""
    frames = int(stage.seconds(1300, quick=400))
    found = {name: await _one(stage, odd, frames) for name, odd in ODDITIES.items()}
    found["turned"] = await _turned(stage, frames)
    found["one frame"] = await _one(stage, ODDITIES["plain"], 1)
    found["three hours"] = await _hours(stage)
    rows = [
        Row(
            case=f"T6 {name}: frames lost or doubled over {one.seams} seams",
            ours=one.wrong,
            theirs=None,
            unit="frames",
            value=one.wrong,
            bar=0,
            better="lower",
        )
        for name, one in found.items()
    ]
    worst = {
        "steps from frame to frame": (max(one.steps for one in found.values()), 1),
        "inits of a rung": (max(one.inits for one in found.values()), 1),
        "picture against sound, ms": (max(one.skew_ms for one in found.values()), 1),
    }
    for name, (value, bar) in worst.items():
        rows.append(
            Row(case=f"T6 {name}, most", ours=value, theirs=None, unit="", value=value, bar=bar, better="lower")
        )
    return rows


async def _one(stage: Stage, odd: Odd, frames: int) -> Findings:
    master = await stage.films.made(f"{frames}-{odd.name}", *odd.arguments(frames))
    return await _findings(stage, odd, master, frames)


async def _turned(stage: Stage, frames: int) -> Findings:
    plain = ODDITIES["plain"]
    flat = await stage.films.made(f"{frames}-{plain.name}", *plain.arguments(frames))
    master = await stage.films.made(f"{frames}-turned.mp4", *TURNED, "-i", str(flat), *AS_IT_IS)
    return await _findings(stage, plain, master, frames)


async def _findings(stage: Stage, odd: Odd, master: Path, frames: int) -> Findings:
    plan = await made.planned(master)
    version = await _made(stage, plan, master, "cut")
    shown = _numbers(version)
    if odd.shown == "as-one":
        wanted = _numbers(await _made(stage, made.whole(plan), master, "whole"))
    else:
        numbered = list(range(0, frames, 2 if odd.shown == "even" else 1))
        wanted = numbered + numbered[-1:] * plan.picture.hold_frames
    return Findings(
        wrong=_wrong(shown, wanted),
        seams=len(plan.pieces) - 1,
        steps=max(_steps(version.shown(rung.name)) for rung in plan.picture.renditions),
        inits=max(len(_inits(version, rung.name)) for rung in plan.picture.renditions),
        skew_ms=_skew_ms(version),
    )


async def _hours(stage: Stage) -> Findings:
    """Of three hours the first two chunks, two in the middle and the last two, without the silence beside them."""
    frames = PART_S * int(LONG.rate)
    part = await stage.films.made("part-of-hours.mp4", *LONG.arguments(frames))
    loop = ("-stream_loop", str(int(stage.seconds(PARTS, quick=3)) - 1))
    master = await stage.films.made(LONG.name, *loop, "-i", str(part), *AS_IT_IS)
    plan = await made.planned(master)
    middle = len(plan.pieces) // 2
    pieces = [*plan.pieces[:2], *plan.pieces[middle : middle + 2], *plan.pieces[-2:]]
    version = await made.make(stage, plan, master, stage.own("odd-hours"), wanted=[piece.name for piece in pieces])
    wanted = [at for piece in pieces for at in range(piece.first_frame, piece.first_frame + piece.frames)]
    (name,) = (rung.name for rung in plan.picture.renditions)
    times = list(zip(wanted, version.shown(name), strict=False))
    return Findings(
        wrong=_wrong(_numbers(version), [at % frames for at in wanted]),
        seams=len(pieces) // 2,
        steps=len({after - before for (at, before), (then, after) in pairwise(times) if then == at + 1}),
        inits=len(_inits(version, name)),
    )


def _wrong(shown: list[int], wanted: list[int]) -> int:
    return sum(a != b for a, b in zip(shown, wanted, strict=False)) + abs(len(shown) - len(wanted))


async def _made(stage: Stage, plan: Plan, master: Path, name: str) -> Version:
    return await made.make(stage, plan, master, stage.own(f"odd-{name}"))


def _numbers(version: Version) -> list[int]:
    """What each frame of the top rung shows."""
    with av.open(str(version.joined(version.plan.picture.renditions[0].name))) as container:
        return numbers(container.decode(container.streams.video[0]))


def _steps(shown: list[Fraction]) -> int:
    return max(1, len({after - before for before, after in pairwise(shown)}))


def _inits(version: Version, rung: str) -> set[bytes]:
    """The inits that the chunks' attempts wrote."""
    attempts = version.bucket / "work" / version.plan.version
    return {path.read_bytes() for path in attempts.glob(f"*/*/{rung}/init.mp4")}


def _skew_ms(version: Version) -> float:
    """How far apart picture and sound begin, by the letter of their boxes."""
    picture = version.shown(version.plan.picture.renditions[0].name)[0]
    return float(abs(picture - version.shown(version.plan.sound.name)[0]) * 1000)
