"""Which ffmpeg and which encoder class this machine has: found once, at the worker's start."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from fractions import Fraction
from functools import partial
from pathlib import Path

import msgspec

from farm import command, gpu, run, slots
from farm.encoders import Encoder, encoder
from farm.grid import grid
from shared.errors import EncodeFailed, Misconfigured
from shared.ladder import Rendition
from shared.log import get
from shared.settings import FarmSettings

#: The oldest ffmpeg from PATH that is taken.
FLOOR = (5, 1)
_LOOK = run.Limits(deadline_s=20, stall_s=20)
#: A card's driver may take seconds to wake; where NVML sees no card, none is waited for.
_CARD, _BLIND = run.Limits(deadline_s=8, stall_s=8), run.Limits(deadline_s=1.2, stall_s=1.2)
_VERSION = re.compile(r"ffmpeg version (\S+)")
_NUMBER = re.compile(r"n?(\d+)\.(\d+)")
_PROOF = Rendition("180", 320, 180, crf=23, maxrate_kbps=400)


class Engine(msgspec.Struct, frozen=True):
    """An ffmpeg, its build as it names itself, the encoder class proven with it, and the NVENC sessions it may open."""

    ffmpeg: str
    build: str
    encoder: Encoder
    sessions_cap: int = 0


async def find(settings: FarmSettings) -> Engine:
    """The ffmpeg (setting, PATH if new enough, imageio-ffmpeg's) and encoder of this machine. Raises Misconfigured."""
    settings.scratch_dir.mkdir(parents=True, exist_ok=True)
    folder = settings.scratch_dir.absolute()
    path, build = await program(settings.ffmpeg, folder)
    if settings.encoder == "auto":
        found = await best(path, folder, cards=bool(gpu.cards()))
    elif await works(path, encoder(settings.encoder), folder):
        found = encoder(settings.encoder)
    else:
        raise Misconfigured(f"USHER_ENCODER is {settings.encoder}, but {path} cannot encode with it here")
    return Engine(path, build, found, await sessions_cap(path, found, settings))


async def best(path: str, folder: Path, *, cards: bool) -> Encoder:
    """The best class that works: NVENC, a card that decodes and scales, or the CPU alone.

    Without `cards` in sight it decides within two seconds, whatever ffmpeg does.
    """
    limits = _CARD if cards else _BLIND
    for name in ("nvenc", *(("hybrid",) if cards else ())):
        if await works(path, encoder(name), folder, limits=limits):
            return encoder(name)
    return encoder("x264")


async def works(path: str, candidate: Encoder, folder: Path, *, limits: run.Limits = _LOOK) -> bool:
    """Whether one second can be encoded: lists of encoders say nothing about the machine."""
    why = await why_not(path, candidate, folder, limits=limits)
    if why is not None:
        get("farm").info("encoder not usable", encoder=candidate.name, why=why)
    return why is None


async def why_not(path: str, candidate: Encoder, folder: Path, *, limits: run.Limits = _LOOK) -> str | None:
    """Why a class cannot be used here, in ffmpeg's first words; None where it can."""
    try:
        await run.run(command.proof(path, candidate, _options(candidate)), folder, limits)
    except EncodeFailed as error:
        lines = error.details.get("lines")
        return f"{error} ({lines[0]})" if isinstance(lines, list) and lines else str(error)
    return None


async def sessions_cap(path: str, found: Encoder, settings: FarmSettings) -> int:
    """The NVENC sessions that chunks may hold at once on this machine."""
    if not found.on_card:
        return 0
    if settings.nvenc_sessions:
        return settings.nvenc_sessions
    opens = partial(_opens, path=path, found=found, folder=settings.scratch_dir.absolute())
    return await slots.learnt(slots.folder_of(settings), opens)


async def _opens(count: int, *, path: str, found: Encoder, folder: Path) -> bool:
    try:
        await run.run(command.sessions(path, _options(found), count), folder, _LOOK)
    except EncodeFailed:
        return False
    return True


def _options(candidate: Encoder) -> dict[str, str | int]:
    return candidate.options(_PROOF, grid(Fraction(25)))


async def program(named: str, folder: Path) -> tuple[str, str]:
    """The ffmpeg to run and its build: `named`, else PATH's if new enough, else the wheel's. Raises Misconfigured."""
    if named:
        return named, await _build(named, folder)
    if on_path := shutil.which("ffmpeg"):
        build = await _build(on_path, folder)
        if new_enough(build):
            return on_path, build
    if (found := wheel()) is None:
        raise Misconfigured("there is no ffmpeg >= 5.1: set USHER_FFMPEG or install imageio-ffmpeg")
    return found, await _build(found, folder)


def wheel() -> str | None:
    """imageio-ffmpeg's ffmpeg, which has libvmaf; None where that is not installed."""
    try:
        import imageio_ffmpeg  # part of the embedded extra alone
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


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
    except EncodeFailed as error:
        raise Misconfigured(f"{path} does not run: {error}") from error
    if (build := build_named(lines)) is None:
        raise Misconfigured(f"{path} does not say that it is ffmpeg")
    return build
