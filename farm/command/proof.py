"""What a worker tries at its start: a second through an encoder class, and sessions at once. Pure."""

from __future__ import annotations

from typing import Any

import ffmpeg

from farm.command import hardware
from farm.encoders.base import Encoder, Options
from shared.ladder import Rendition

_HEAD = ("-hide_banner", "-nostdin", "-loglevel", "error")


def proof(ffmpeg_path: str, encoder: Encoder, options: Options) -> list[str]:
    """One second of test picture through an encoder class, thrown away: the only proof that it works here.

    A class with a card scales on it too.
    """
    if encoder.card:
        small = Rendition("180", 320, 180, crf=23, maxrate_kbps=400)
        uploaded = hardware.on_card(_picture(1, **hardware.SOURCE), deinterlace=False)
        (picture,) = hardware.cascade(uploaded, [small], encoder)
    else:
        picture = _picture(1).filter("format", "yuv420p")
    return _compiled(ffmpeg_path, ffmpeg.output(picture, "-", format="null", **options))


def sessions(ffmpeg_path: str, options: Options, count: int) -> list[str]:
    """`count` encoders at once on a moment of test picture: the only way to learn how many a card gives."""
    split = _picture(0.4).filter("format", "nv12").filter_multi_output("split", count)
    outputs = [ffmpeg.output(split[number], "-", format="null", **options) for number in range(count)]
    return _compiled(ffmpeg_path, outputs[0] if count == 1 else ffmpeg.merge_outputs(*outputs))


def _picture(seconds: float, **options: Any) -> Any:
    return ffmpeg.input(f"testsrc2=size=640x360:rate=25:duration={seconds}", format="lavfi", **options)


def _compiled(ffmpeg_path: str, output: Any) -> list[str]:
    return [ffmpeg_path, *_HEAD, *ffmpeg.get_args(output)]
