"""Which ffmpeg and which encoder class this machine has: found once, at the worker's start."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import msgspec

from farm import command, run
from farm.encoders import Encoder, encoder
from farm.grid import grid
from shared.errors import EncodeFailed, Misconfigured
from shared.ladder import Rendition
from shared.log import get
from shared.settings import FarmSettings

#: The oldest ffmpeg from PATH that is taken.
FLOOR = (5, 1)
_LOOK = run.Limits(deadline_s=20, stall_s=20)
_VERSION = re.compile(r"ffmpeg version (\S+)")
_NUMBER = re.compile(r"n?(\d+)\.(\d+)")
_PROOF = Rendition("360", 640, 360, crf=23, maxrate_kbps=800)


class Engine(msgspec.Struct, frozen=True):
    """An ffmpeg, its build as it names itself, and the encoder class proven with it."""

    ffmpeg: str
    build: str
    encoder: Encoder


async def find(settings: FarmSettings) -> Engine:
    """The ffmpeg (setting, PATH if new enough, imageio-ffmpeg's) and encoder of this machine. Raises Misconfigured."""
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    folder = settings.scratch_dir.absolute()
    path, build = await _ffmpeg(settings.ffmpeg, folder)
    name = settings.encoder
    if name == "auto":
        name = "nvenc" if await works(path, encoder("nvenc"), folder) else "x264"
    elif not await works(path, encoder(name), folder):
        raise Misconfigured(f"USHER_ENCODER is {name}, but {path} cannot encode with it here")
    return Engine(path, build, encoder(name))


async def works(path: str, candidate: Encoder, folder: Path) -> bool:
    """Whether one second can be encoded: lists of encoders say nothing about the machine."""
    argv = command.proof(path, candidate, candidate.options(_PROOF, grid(Fraction(25))))
    try:
        await run.run(argv, folder, _LOOK)
    except (EncodeFailed, OSError) as error:
        get("farm").info("encoder not usable", encoder=candidate.name, why=str(error))
        return False
    return True


async def _ffmpeg(named: str, folder: Path) -> tuple[str, str]:
    if named:
        return named, await _build(named, folder)
    if on_path := shutil.which("ffmpeg"):
        build = await _build(on_path, folder)
        if new_enough(build):
            return on_path, build
    try:
        import imageio_ffmpeg  # part of the embedded extra alone
    except ImportError:
        raise Misconfigured("there is no ffmpeg >= 5.1: set USHER_FFMPEG or install imageio-ffmpeg") from None
    wheel = str(imageio_ffmpeg.get_ffmpeg_exe())
    return wheel, await _build(wheel, folder)


def build_named(output: Iterable[str]) -> str | None:
    """The build that `ffmpeg -version` names, None where the program is no ffmpeg."""
    return next((match[1] for line in output if (match := _VERSION.match(line))), None)


def new_enough(build: str) -> bool:
    """Whether a build names a version from 5.1 on; a build from git names none and is taken."""
    numbers = _NUMBER.match(build)
    return numbers is None or (int(numbers[1]), int(numbers[2])) >= FLOOR


async def _build(path: str, folder: Path) -> str:
    try:
        lines = await run.run([path, "-version"], folder, _LOOK)
    except (EncodeFailed, OSError) as error:
        raise Misconfigured(f"{path} does not run: {error}") from error
    if (build := build_named(lines)) is None:
        raise Misconfigured(f"{path} does not say that it is ffmpeg")
    return build
