"""Stills: a frame of the picture, the cover that came with a sound, or a drawing of the sound. Pure."""

from __future__ import annotations

from typing import Any

import ffmpeg

from farm.command.base import Bench, compiled, source, to_sdr
from farm.plan import Plan, PosterPlan

#: At most this much sound is drawn on a made cover.
DRAWN_S = 600


def poster(plan: Plan, bench: Bench, *, at_s: float | None = None) -> list[str]:
    """The still as `poster.jpg`."""
    wanted = plan.poster
    seek = {"ss": f"{wanted.at_s if at_s is None else at_s:.3f}"}
    stream = source(plan, bench, **(seek if wanted.source == "frame" else {}))[str(wanted.stream)]
    if wanted.source == "drawn":
        stream = _drawing(stream, wanted)
    elif plan.video and plan.video.tonemap:
        stream = to_sdr(stream)
    picture = stream.filter("scale", wanted.width, wanted.height, flags="bicubic").filter("setsar", 1)
    options = {"vframes": 1, "format": "image2", "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "q:v": 3, "update": 1}
    flags = {"fflags": "+bitexact", "flags:v": "+bitexact"}
    return compiled([ffmpeg.output(picture, str(bench.folder / "poster.jpg"), **options, **flags)], bench)


def _drawing(stream: Any, wanted: PosterPlan) -> Any:
    """The shape of the sound on a plain ground."""
    size = f"{wanted.width}x{wanted.height}"
    wave = stream.filter("atrim", duration=DRAWN_S).filter(
        "showwavespic", size=size, colors="0x8b9cf7", split_channels=0
    )
    ground = ffmpeg.input(f"color=c=0x14162b:s={size}:r=1:d=1", format="lavfi")
    return ffmpeg.overlay(ground, wave, format="auto")
