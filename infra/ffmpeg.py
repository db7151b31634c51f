"""Which ffmpeg this machine offers: USHER_FFMPEG, else PATH's from 5.1 on, else imageio-ffmpeg's."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping

import imageio_ffmpeg

from farm.engine import build_named, new_enough
from shared.errors import Misconfigured
from shared.settings import variable


def find(environ: Mapping[str, str]) -> str:
    """The program to run. Raises Misconfigured when there is none."""
    if own := environ.get(variable("ffmpeg")):
        return own
    found = shutil.which("ffmpeg", path=environ.get("PATH"))
    if found and (named := build(found)) and new_enough(named):
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Misconfigured("There is no ffmpeg >= 5.1: install one, or set USHER_FFMPEG.") from error


def build(program: str) -> str | None:
    """The build as it names itself, None where the program does not run or is no ffmpeg."""
    try:
        words = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return build_named(words.splitlines())
