"""T13: easy titles whose qualities are chosen by trials, beside the fixed ladder."""

from __future__ import annotations

import asyncio
import statistics
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.farm import cpu, made, vmaf
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm import pertitle, planning, prober
from farm.plan import Plan, Recipe
from shared.settings import FarmSettings

#: Pictures that are easy to encode: a test card, soft colours that drift, cells that live. Their key frames lie off the
#: grid, so that nothing is copied.
EASY: Final = {
    "card": "testsrc2=size={size}:rate=25",
    "soft": "gradients=size={size}:rate=25:speed=0.02:nb_colors=4:seed=7",
    "cells": "life=size=320x180:rate=25:mold=10:ratio=0.1:seed=3:death_color=#C83232:life_color=#00ff00,"
    "scale={size}:flags=neighbor",
}
CODING: Final = ("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "veryfast", "-crf", "12", "-g", "73")


class Found(msgspec.Struct, frozen=True):
    """One title: bytes and what its trials cost of the encode, and what is lost of VMAF that is good enough."""

    name: str
    bytes: float
    cost: float
    lost: float
    words: str


async def rows(stage: Stage) -> list[Row]:
    """Bytes of the picture at equal VMAF (what lies above the target counts as the target), and the cost of trials."""
    size, seconds = ("320x180", 26.0) if stage.quick else ("1280x720", 60.0)
    found = [await _title(stage, name, source.format(size=size), seconds=seconds) for name, source in EASY.items()]
    stage.said.append("Qualities by the title, VMAF of the fixed ladder → by trials:\n\n" + "\n".join(
        f"- {one.name}: {one.words}" for one in found
    ))  # fmt: skip
    ratio, cost = statistics.mean(one.bytes for one in found), max(one.cost for one in found)
    lost = max(one.lost for one in found)
    return [
        Row(case=f"T13 per title, {len(found)} easy clips: bytes of the fixed ladder at VMAF {pertitle.TARGET:.0f}",
            ours=None, theirs=None, unit="", value=ratio, bar=0.80, better="lower"),
        Row(case="T13 VMAF lost below that, worst rung of all", ours=None, theirs=None, unit="VMAF", value=lost,
            bar=0.5, better="lower"),
        Row(case=f"T13 trials of {seconds:.0f} s titles: CPU of the encode, worst", ours=None, theirs=None, unit="",
            value=cost, bar=0.15, better="lower"),
    ]  # fmt: skip


async def _title(stage: Stage, name: str, source: str, *, seconds: float) -> Found:
    options = ("-f", "lavfi", "-i", source, "-t", f"{seconds:g}", *CODING)
    master = await stage.films.made(f"easy-{name}-{seconds:.0f}.mp4", *options)
    info = await prober.look(master, master.parent, sound_only=False)
    recipe = Recipe(made.TITLE, master.name, "x264", "bench")
    fixed, crfs = planning.plan(info, recipe), dict[str, int]()
    settings = FarmSettings(scratch_dir=stage.own(f"trials-{name}"), threads=1)

    async def trials() -> None:
        crfs.update(await pertitle.crfs(fixed, master, pertitle.Trials(stage.ffmpeg, settings, asyncio.Event())))

    spent = await cpu.cost(trials())
    plans = {"ours": planning.plan(info, recipe, crfs), "theirs": fixed}

    async def make(plan: Plan, folder: Path) -> None:
        await made.make(stage, plan, master, folder, wanted=[piece.name for piece in plan.pieces])

    both = await stage.interleaved(
        f"pertitle-{name}",
        {side: lambda folder, plan=plan: make(plan, folder) for side, plan in plans.items()},  # type: ignore[misc]
    )
    versions = {side: made.Version(plan, both[side].folder / "bucket") for side, plan in plans.items()}
    words, lost = await _judged(versions, master)
    sizes = {side: version.size_bytes for side, version in versions.items()}
    return Found(name, sizes["ours"] / sizes["theirs"], spent.cpu_s / both["theirs"].cpu_s, lost, words)


async def _judged(versions: dict[str, made.Version], master: Path) -> tuple[str, float]:
    """VMAF of each rendition of both sides at its own size, in words, and the most that ours lost below the target."""
    words, lost = [], 0.0
    for before, after in zip(
        versions["theirs"].plan.picture.renditions, versions["ours"].plan.picture.renditions, strict=True
    ):
        scores = {
            side: await vmaf.score(
                version.joined(before.name), master, size=f"{before.width}x{before.height}", every=25
            )
            for side, version in versions.items()
        }
        best = {side: min(score, pertitle.TARGET) for side, score in scores.items()}
        lost = max(lost, best["theirs"] - best["ours"])
        words.append(
            f"{before.name} CRF {before.crf} → {after.crf}, VMAF {scores['theirs']:.1f} → {scores['ours']:.1f}"
        )
    return "; ".join(words), lost
