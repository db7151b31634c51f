"""Plan → ffmpeg's argument list, compiled by ffmpeg-python to the option set of ffmpeg 5.1. Pure."""

from __future__ import annotations

import ffmpeg

from farm.command.base import Bench
from farm.command.picture import video
from farm.command.sound import sound
from farm.command.still import poster
from farm.encoders.base import Encoder


def proof(ffmpeg_path: str, encoder: Encoder, options: dict[str, str | int]) -> list[str]:
    """One second of test picture through an encoder, thrown away: the only proof that it works here."""
    picture = ffmpeg.input("testsrc2=size=640x360:rate=25:duration=1", format="lavfi")
    output = ffmpeg.output(picture, "-", format="null", pix_fmt="yuv420p", **options)
    return [ffmpeg_path, "-hide_banner", "-nostdin", "-loglevel", "error", *ffmpeg.get_args(output)]


__all__ = ["Bench", "Encoder", "poster", "proof", "sound", "video"]
