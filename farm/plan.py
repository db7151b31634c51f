"""The plan: everything that will be made of a master, in which chunks, under which version. Pure data."""

from __future__ import annotations

import hashlib
import math
from fractions import Fraction
from typing import Literal

import msgspec

from farm.grid import SOUND_RATE, Grid
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK, STORYBOARD_CHUNK
from shared.ladder import AUDIO_RENDITION, LADDER, Rendition, Rung

#: Changes whenever the same plan would give other bytes.
RECIPE = 3
#: Bit rate of sound.
SOUND_KBPS = 128


class VideoPlan(msgspec.Struct, frozen=True):
    """The picture: `frames` on the grid, decoded once (where: `decode`), in all renditions (highest first).

    `scaler`: what scales the decoded picture; zimg is three times as fast, swscale takes any format of pixels.
    """

    stream: int
    grid: Grid
    frames: int
    renditions: tuple[Rendition, ...]
    hold_frames: int = 0
    deinterlace: bool = False
    tonemap: bool = False
    decode: Literal["cpu", "cuda"] = "cpu"
    scaler: Literal["zimg", "swscale"] = "swscale"


class SoundPlan(msgspec.Struct, frozen=True):
    """One sound: `samples` at 48 kHz, cut near the picture's borders; no stream means silence.

    `language` is a BCP 47 tag, `label` what a menu shows. Sounds of one stream, in several layouts, share their label.
    """

    stream: int | None
    samples: int
    segment_num: int
    segment_den: int
    kbps: int = SOUND_KBPS
    name: str = AUDIO_RENDITION
    channels: int = 2
    layout: str = "stereo"
    language: str = "und"
    label: str = "Original"
    default: bool = True

    @property
    def segment_s(self) -> Fraction:
        """Seconds a full segment of the picture lasts."""
        return Fraction(self.segment_num, self.segment_den)


class PosterPlan(msgspec.Struct, frozen=True):
    """The stills: frames of the picture at `places`, the cover that came with the sound, or a drawing of the sound."""

    stream: int
    source: str
    places: tuple[float, ...]
    width: int
    height: int


class StoryboardPlan(msgspec.Struct, frozen=True):
    """Small pictures along the seek bar: one each `every_s` seconds, `columns` x `rows` to a sheet.

    `skip`: which pictures of the master are not decoded for it (ffmpeg's skip_frame). `keyframes`: how many it is known
    to have.
    """

    every_s: float
    width: int
    height: int
    columns: int = 5
    rows: int = 5
    skip: Literal["nointra", "noref"] = "nointra"
    keyframes: int = 0

    def count(self, duration_s: float) -> int:
        """How many pictures a title of this length has."""
        return max(1, math.ceil(duration_s / self.every_s))

    def sheets(self, duration_s: float) -> int:
        """How many sheets they fill."""
        return math.ceil(self.count(duration_s) / (self.columns * self.rows))


class ChunkPlan(msgspec.Struct, frozen=True):
    """A piece of the picture that one ffmpeg makes: whole segments.

    `seek_us`: where decoding starts, in microseconds on the file's clock; -1: at the start of the file.
    """

    name: str
    first_frame: int
    frames: int
    seek_us: int = -1


class Plan(msgspec.Struct, frozen=True):
    """All that decides the bytes of a version. The first of `sounds` plays unless another is chosen."""

    title: str
    master_sha256: str
    demuxer: str
    origin_us: int
    video: VideoPlan | None
    sounds: tuple[SoundPlan, ...]
    poster: PosterPlan
    pieces: tuple[ChunkPlan, ...]
    encoder: str
    build: str
    container: str = "cmaf"
    protection: str = "none"
    variants: tuple[str, ...] = ("0",)
    recipe: int = RECIPE
    storyboard: StoryboardPlan | None = None
    memory_bytes: int = 0
    loudness: bool = False

    @property
    def version(self) -> str:
        """The plan's own hash: the same master, title and plan give the same version."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:32]

    @property
    def chunks(self) -> tuple[str, ...]:
        """The names of all chunks, as tickets carry them: the most wanted first."""
        first, *rest = [piece.name for piece in self.pieces] or [""]
        last = (STORYBOARD_CHUNK,) if self.storyboard else ()
        return (*((first,) if first else ()), SOUND_CHUNK, POSTER_CHUNK, *rest, *last)

    @property
    def sound(self) -> SoundPlan:
        """The sound that plays unless another is chosen."""
        return self.sounds[0]

    @property
    def board(self) -> StoryboardPlan:
        """The storyboard's plan. Raises ValueError for a title without one."""
        if self.storyboard is None:
            raise ValueError("this title has no storyboard to make")
        return self.storyboard

    @property
    def duration_s(self) -> float:
        """Seconds the title lasts."""
        if self.video is not None:
            return float(self.video.frames / self.video.grid.rate)
        return self.sound.samples / SOUND_RATE

    @property
    def picture(self) -> VideoPlan:
        """The picture's plan. Raises ValueError for a title that is sound alone."""
        if self.video is None:
            raise ValueError("a title of sound alone has no picture to make")
        return self.video

    def piece(self, chunk: str) -> ChunkPlan:
        """The picture's chunk of that name. Raises KeyError."""
        return {piece.name: piece for piece in self.pieces}[chunk]


class Order(msgspec.Struct, frozen=True):
    """`work/<version>/plan.json`: the plan, and where its master lies."""

    plan: Plan
    master: str


class Recipe(msgspec.Struct, frozen=True):
    """What a plan takes besides the master's own facts."""

    title: str
    master_sha256: str
    encoder: str
    build: str
    sound_only: bool = False
    ladder: tuple[Rung, ...] = LADDER
    mode: Literal["fixed", "per-title"] = "fixed"
    loudness: bool = False
