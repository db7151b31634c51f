"""T2: a master that is fit to be the top rung as it is, beside one ffmpeg a rung."""

from __future__ import annotations

from pathlib import Path

from benchmarks.farm import cpu, made, plain
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row


async def rows(stage: Stage) -> list[Row]:
    """CPU with the top rung copied; void where the plan does not copy it."""
    master = await stage.film(Film(seconds=stage.seconds(24, quick=4), kbps=2500))
    plan = made.whole(await made.planned(master))
    copied = plan.picture.renditions[0].copied
    commands = plain.a_rung_each(stage, plan, master)
    stage.theirs("Top rung copied", *commands)

    async def ours(folder: Path) -> None:
        await made.make(stage, plan, master, folder)

    async def theirs(folder: Path) -> None:
        for command in commands:
            await cpu.run(command, folder)

    found = await stage.interleaved("copy", {"ours": ours, "theirs": theirs})
    return [
        Row(
            case="T2 top rung copied, against one ffmpeg a rung: CPU",
            ours=found["ours"].cpu_s,
            theirs=found["theirs"].cpu_s,
            unit="s",
            value=cpu.ratio(found["ours"], found["theirs"]) if copied else None,
            bar=0.40,
            better="lower",
        )
    ]
