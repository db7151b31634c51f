"""The other side: plain ffmpeg commands for the same rungs, with the same encoder, rates and sound."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.farm import vmaf
from benchmarks.farm.made import Version
from benchmarks.farm.stage import Stage
from farm.plan import Plan
from shared.ladder import Rendition

_QUIET = ("-hide_banner", "-v", "error", "-nostdin", "-y")
#: One thread for decoding, scaling and each encoder, as on our side.
ALONE = ("-filter_threads", "1", "-filter_complex_threads", "1", "-threads", "1")
_AAC = ("-c:a", "aac", "-b:a", "128k", "-ac", "2", "-ar", "48000")


def a_rung_each(stage: Stage, plan: Plan, master: Path) -> list[list[str]]:
    """One ffmpeg a rung, each decodes the master anew and writes an MP4 with sound."""
    return [
        [
            *(stage.ffmpeg, *_QUIET, *ALONE, "-i", str(master), "-map", "0:v:0", "-map", "0:a:0"),
            *("-vf", f"scale={rung.width}:{rung.height}:flags=bicubic", "-pix_fmt", "yuv420p"),
            *(*x264(rung), *_closed(plan), "-threads", "1", *_AAC, f"{rung.name}.mp4"),
        ]
        for rung in plan.picture.renditions
    ]


def x264(rung: Rendition, stream: str = "") -> list[str]:
    """Our own encoder's quality and rates; `stream`: which of the output's pictures, such as `:0`."""
    return [
        *(f"-c:v{stream}", "libx264", f"-preset:v{stream}", "veryfast", f"-profile:v{stream}", "high"),
        *(f"-crf:v{stream}", str(rung.crf), f"-maxrate:v{stream}", f"{rung.maxrate_kbps}k"),
        *(f"-bufsize:v{stream}", f"{rung.bufsize_kbits}k"),
    ]


def _closed(plan: Plan) -> list[str]:
    gop = str(plan.picture.grid.segment_frames)
    return ["-g", gop, "-keyint_min", gop, "-sc_threshold", "0", "-flags", "+cgop"]


async def lost_vmaf(ours: Version, theirs: dict[str, Path], master: Path, rungs: Sequence[Rendition]) -> float:
    """By how much the worst of our rungs is under theirs, each scaled to the master's size."""
    top = ours.plan.picture.renditions[0]
    size = f"{top.width}x{top.height}"
    lost = []
    for rung in rungs:
        mine = await vmaf.score(ours.joined(rung.name), master, size=size)
        lost.append(await vmaf.score(theirs[rung.name], master, size=size) - mine)
    return max(lost)
