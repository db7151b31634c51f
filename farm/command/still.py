"""Stills: frames of the picture, the cover that came with a sound, a drawing of the sound, a storyboard. Pure."""

from __future__ import annotations

from typing import Any

import ffmpeg

from farm.command.base import Bench, compiled, source, to_sdr
from farm.plan import Plan, PosterPlan

#: At most this much sound is drawn on a made cover.
DRAWN_S = 600
_JPEG = {"format": "image2", "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "fflags": "+bitexact", "flags:v": "+bitexact"}


def poster(plan: Plan, bench: Bench, *, at_s: float, name: str = "poster.jpg") -> list[str]:
    """The still at `at_s` as `name`."""
    wanted = plan.poster
    seek = {"ss": f"{at_s:.3f}"} if wanted.source == "frame" else {}
    stream = source(plan, bench, **seek)[str(wanted.stream)]
    if wanted.source == "drawn":
        stream = _drawing(stream, wanted)
    elif plan.video and plan.video.tonemap:
        stream = to_sdr(stream)
    picture = stream.filter("scale", wanted.width, wanted.height, flags="bicubic").filter("setsar", 1)
    options = {**_JPEG, "vframes": 1, "q:v": 3, "update": 1}
    return compiled([ffmpeg.output(picture, str(bench.folder / name), **options)], bench)


def storyboard(plan: Plan, bench: Bench, *, few: bool = True) -> list[str]:
    """The sheets of the storyboard as `0.jpg`, `1.jpg`, …; of the few pictures that the plan names, or of many.

    Each decoded picture is also an output of its own that is thrown away: it shows that the work goes on.
    """
    wanted, title = plan.board, plan.picture
    master = source(plan, bench, skip_frame=wanted.skip if few else "noref")
    decoded = master[str(title.stream)].filter_multi_output("split", 2)
    stream = (
        decoded[1]
        .filter("setpts", f"PTS-{plan.origin_us / 1e6:.6f}/TB")
        .filter("fps", fps=f"1/{wanted.every_s:g}", start_time=0, eof_action="pass")
        .filter("tpad", stop_mode="clone", stop_duration=f"{plan.duration_s + wanted.every_s:.3f}")
        .filter("trim", end_frame=wanted.count(plan.duration_s))
        .filter("scale", wanted.width, wanted.height, flags="bicubic")
        .filter("setsar", 1)
    )
    sheets = (to_sdr(stream) if title.tonemap else stream).filter("tile", f"{wanted.columns}x{wanted.rows}")
    as_they_come = {"fps_mode": "passthrough"}
    options = {**_JPEG, **as_they_come, "q:v": 4, "start_number": 0}
    seen = ffmpeg.output(decoded[0], "-", format="null", **as_they_come)
    return compiled([seen, ffmpeg.output(sheets, str(bench.folder / "%d.jpg"), **options)], bench)


def _drawing(stream: Any, wanted: PosterPlan) -> Any:
    """The shape of the sound on a plain ground."""
    size = f"{wanted.width}x{wanted.height}"
    wave = stream.filter("atrim", duration=DRAWN_S).filter(
        "showwavespic", size=size, colors="0x8b9cf7", split_channels=0
    )
    ground = ffmpeg.input(f"color=c=0x14162b:s={size}:r=1:d=1", format="lavfi")
    return ffmpeg.overlay(ground, wave, format="auto")
