"""Which ffmpeg this machine offers: USHER_FFMPEG, else PATH's from 5.1 on, else imageio-ffmpeg's."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping

import imageio_ffmpeg

from shared.errors import Misconfigured
from shared.settings import variable

LOWEST = (5, 1)


def find(environ: Mapping[str, str]) -> str:
    """The program to run. Raises Misconfigured when there is none."""
    if own := environ.get(variable("ffmpeg")):
        return own
    if (found := shutil.which("ffmpeg", path=environ.get("PATH"))) and version(found) >= LOWEST:
        return found
    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError as error:
        raise Misconfigured("There is no ffmpeg >= 5.1: install one, or set USHER_FFMPEG.") from error


def version(program: str) -> tuple[int, int]:
    """Major and minor; (0, 0) where it does not say, (99, 0) for a build named after its commit."""
    try:
        words = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return 0, 0
    if match := re.match(r"ffmpeg version n?(\d+)\.(\d+)", words):
        return int(match[1]), int(match[2])
    return (99, 0) if words.startswith("ffmpeg version") else (0, 0)
