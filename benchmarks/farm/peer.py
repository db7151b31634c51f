"""T3: three rungs beside the usual way: a faststart remux, then one process that writes HLS of TS, sound in each."""

from __future__ import annotations

from pathlib import Path

from benchmarks.farm import cpu, made, plain, vmaf
from benchmarks.farm.films import Film
from benchmarks.farm.made import Version
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm.plan import Plan
from shared.ladder import LADDER

#: 480, 360, 240.
RUNGS = tuple(rung for rung in LADDER if rung.height <= 480)


async def rows(stage: Stage) -> list[Row]:
    """CPU, bytes and VMAF of three rungs."""
    master = await stage.film(Film(seconds=stage.seconds(24, quick=4), kbps=5000))
    plan = made.whole(await made.planned(master, ladder=RUNGS))
    commands = _commands(stage, plan, master)
    stage.theirs("Three rungs, the usual way", *commands)

    async def ours(folder: Path) -> None:
        await made.make(stage, plan, master, folder)

    async def theirs(folder: Path) -> None:
        for command in commands:
            await cpu.run(command, folder)

    found = await stage.interleaved("peer", {"ours": ours, "theirs": theirs})
    version, folder = Version(plan, found["ours"].folder / "bucket"), found["theirs"].folder
    their_bytes = sum(path.stat().st_size for path in folder.glob("*.ts"))
    return [
        Row(
            case="T3 three rungs against split=3 to TS: CPU",
            ours=found["ours"].cpu_s,
            theirs=found["theirs"].cpu_s,
            unit="s",
            value=cpu.ratio(found["ours"], found["theirs"]),
            bar=0.90,
            better="lower",
        ),
        Row(
            case="T3 three rungs against split=3 to TS: bytes",
            ours=version.size_bytes / 1e6,
            theirs=their_bytes / 1e6,
            unit="MB",
            value=version.size_bytes / their_bytes,
            bar=0.95,
            better="lower",
        ),
        *await _quality(version, folder, master),
    ]


def _commands(stage: Stage, plan: Plan, master: Path) -> list[list[str]]:
    rungs = plan.picture.renditions
    quiet = ("-hide_banner", "-v", "error", "-nostdin", "-y")
    parts = "".join(f"[p{at}]" for at in range(len(rungs)))
    scales = (f"[p{at}]scale={rung.width}:{rung.height}[v{at}]" for at, rung in enumerate(rungs))
    graph = ";".join((f"[0:v:0]split={len(rungs)}{parts}", *scales))
    maps = [word for at in range(len(rungs)) for word in ("-map", f"[v{at}]", "-map", "0:a:0")]
    coding = [word for at, rung in enumerate(rungs) for word in plain.x264(rung, f":{at}")]
    return [
        [stage.ffmpeg, *quiet, "-i", str(master), "-c", "copy", "-movflags", "+faststart", "fast.mp4"],
        [
            *(stage.ffmpeg, *quiet, *plain.ALONE, "-i", "fast.mp4", "-filter_complex", graph, *maps, *coding),
            *("-threads", "1", "-c:a", "aac", "-b:a", "128k", "-f", "hls", "-hls_time", "6", "-hls_list_size", "0"),
            *("-hls_segment_type", "mpegts", "-hls_segment_filename", "%v-%03d.ts"),
            *("-var_stream_map", " ".join(f"v:{at},a:{at}" for at in range(len(rungs))), "%v.m3u8"),
        ],
    ]


async def _quality(version: Version, folder: Path, master: Path) -> list[Row]:
    """VMAF of each rung, both scaled to the master's size."""
    rows = []
    for at, rung in enumerate(version.plan.picture.renditions):
        mine = await vmaf.score(version.joined(rung.name), master, size="1280x720")
        usual = await vmaf.score(folder / f"{at}.m3u8", master, size="1280x720")
        rows.append(
            Row(
                case=f"T3 VMAF of {rung.name}, over theirs",
                ours=mine,
                theirs=usual,
                unit="VMAF",
                value=mine - usual,
                bar=-0.1,
            )
        )
    return rows
