"""VMAF of what a side made, by the libvmaf inside imageio-ffmpeg's ffmpeg."""

from __future__ import annotations

import functools
from pathlib import Path

import imageio_ffmpeg
import msgspec

from benchmarks.farm import cpu


class _Pooled(msgspec.Struct, frozen=True):
    mean: float
    min: float


class _Metrics(msgspec.Struct, frozen=True):
    vmaf: _Pooled


class _Log(msgspec.Struct, frozen=True):
    pooled_metrics: _Metrics


@functools.cache
def ffmpeg() -> str:
    """The ffmpeg that has libvmaf."""
    return str(imageio_ffmpeg.get_ffmpeg_exe())


async def score(shown: Path, master: Path, *, size: str, every: int = 5, skip: int = 0) -> float:
    """The mean VMAF of `shown` beside `master`, both scaled to `size` (WxH) and paired by frame number.

    Every `every`-th frame is judged; `skip`: frames of the master before the first of `shown`. The shorter one ends it.
    Raises Failed.
    """
    log = shown.with_name(f"{shown.name}.vmaf.json")
    await cpu.run(argv(shown, master, log, size=size, every=every, skip=skip), shown.parent)
    found = msgspec.json.decode(log.read_bytes(), type=_Log)
    log.unlink()
    return found.pooled_metrics.vmaf.mean


def argv(shown: Path, master: Path, log: Path, *, size: str, every: int, skip: int = 0) -> list[str]:
    """The command. Frames pair by number, not by time, so that neither side's clock matters."""
    width, height = size.split("x")
    fitted = f"scale={width}:{height}:flags=bicubic,setsar=1,format=yuv420p"
    numbered = "settb=1/1000,setpts=N"
    later = f"trim=start_frame={skip}," if skip else ""
    graph = (
        f"[0:v:0]{fitted},{numbered}[shown];[1:v:0]{later}{fitted},{numbered}[master];"
        f"[shown][master]libvmaf=log_fmt=json:log_path={log.name}:n_subsample={every}:shortest=1"
    )
    inputs = ["-i", str(shown), "-i", str(master)]
    return [ffmpeg(), "-hide_banner", "-v", "error", "-nostdin", "-y", *inputs, "-lavfi", graph, "-f", "null", "-"]


def joined(init: bytes, segments: list[bytes], path: Path) -> Path:
    """A rendition as one file, which ffmpeg reads like any other."""
    path.write_bytes(init + b"".join(segments))
    return path
