"""T1: a ladder of four from one decode, each rung scaled from the one above, beside one ffmpeg a rung."""

from __future__ import annotations

from pathlib import Path

from benchmarks.farm import cpu, made, plain
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row


async def rows(stage: Stage) -> list[Row]:
    """CPU of the whole ladder with its sound, and VMAF."""
    master = await stage.film(Film(seconds=stage.seconds(24, quick=2), kbps=5000))
    plan = made.whole(await made.planned(master))
    commands = plain.a_rung_each(stage, plan, master)
    stage.theirs("Ladder of four", *commands)

    async def ours(folder: Path) -> None:
        await made.make(stage, plan, master, folder)

    async def theirs(folder: Path) -> None:
        for command in commands:
            await cpu.run(command, folder)

    found = await stage.interleaved("ladder", {"ours": ours, "theirs": theirs})
    version = made.Version(plan, found["ours"].folder / "bucket")
    files = {rung.name: found["theirs"].folder / f"{rung.name}.mp4" for rung in plan.picture.renditions}
    lost = await plain.lost_vmaf(version, files, master, plan.picture.renditions)
    return [
        Row(
            case="T1 ladder of four against one ffmpeg a rung: CPU",
            ours=found["ours"].cpu_s,
            theirs=found["theirs"].cpu_s,
            unit="s",
            value=cpu.ratio(found["ours"], found["theirs"]),
            bar=0.70,
            better="lower",
        ),
        Row(case="T1 VMAF lost, worst rung", ours=None, theirs=None, unit="VMAF", value=lost, bar=0.3, better="lower"),
    ]
