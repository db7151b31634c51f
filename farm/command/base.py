"""What all commands share: where they work, the master as an input, ffmpeg-python's tree as an argument list. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ffmpeg
import msgspec

from farm.plan import Plan

_TO_SDR = (("zscale", {"t": "linear", "npl": 100}), ("format", {"pix_fmts": "gbrpf32le"}), ("zscale", {"p": "bt709"}))
_TO_709 = {"t": "bt709", "m": "bt709", "r": "tv"}


class Bench(msgspec.Struct, frozen=True):
    """Where a command works: the ffmpeg, the local master, the folder it may write, and threads (0: its choice)."""

    ffmpeg: str
    master: Path
    folder: Path
    threads: int = 0


def source(plan: Plan, bench: Bench, **options: Any) -> Any:
    """The master as an input: its own demuxer, files only, times as they are."""
    return ffmpeg.input(
        f"file:{bench.master}", format=plan.demuxer, protocol_whitelist="file", **{"copyts": None, **options}
    )


def to_sdr(stream: Any) -> Any:
    """Tone mapping of HDR to what every screen shows."""
    for name, options in _TO_SDR:
        stream = stream.filter(name, **options)
    return stream.filter("tonemap", "hable", desat=0).filter("zscale", **_TO_709)


def compiled(outputs: list[Any], bench: Bench) -> list[str]:
    """The program and its arguments."""
    merged = outputs[0] if len(outputs) == 1 else ffmpeg.merge_outputs(*outputs)
    args: list[str] = ffmpeg.get_args(merged)
    head = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-progress", "pipe:1", "-y"]
    return [bench.ffmpeg, *head, *args]
