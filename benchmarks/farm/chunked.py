"""T4: a title in chunks beside the same title in one: what seeking, priming and a cut rate control cost."""

from __future__ import annotations

from pathlib import Path

from benchmarks.farm import cpu, made, plain
from benchmarks.farm.films import Film
from benchmarks.farm.made import Version
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm.plan import Plan
from shared.jobs import SOUND_CHUNK


async def rows(stage: Stage) -> list[Row]:
    """CPU of all chunks of the picture, the first of 8 s among them, and VMAF."""
    master = await stage.film(Film(seconds=stage.seconds(68, quick=16), gop_s=3, kbps=5000))
    plan = await made.planned(master)
    one = made.whole(plan)
    found = await stage.interleaved(
        "chunked", {"ours": _side(stage, plan, master), "theirs": _side(stage, one, master)}
    )
    cut, uncut = (Version(of, found[side].folder / "bucket") for of, side in ((plan, "ours"), (one, "theirs")))
    files = {rung.name: uncut.joined(rung.name) for rung in one.picture.renditions}
    lost = await plain.lost_vmaf(cut, files, master, plan.picture.renditions)
    lengths = " + ".join(f"{float(piece.frames / plan.picture.grid.rate):g}" for piece in plan.pieces)
    return [
        Row(
            case=f"T4 chunks of {lengths} s against one process: CPU",
            ours=found["ours"].cpu_s,
            theirs=found["theirs"].cpu_s,
            unit="s",
            value=cpu.ratio(found["ours"], found["theirs"]),
            bar=1.04,
            better="lower",
        ),
        Row(case="T4 VMAF lost, worst rung", ours=None, theirs=None, unit="VMAF", value=lost, bar=0.15, better="lower"),
    ]


def _side(stage: Stage, plan: Plan, master: Path) -> cpu.Side:
    chunks = [chunk for chunk in made.media_chunks(plan) if chunk != SOUND_CHUNK]

    async def side(folder: Path) -> None:
        await made.make(stage, plan, master, folder, wanted=chunks)

    return side
