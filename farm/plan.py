"""The plan: MediaInfo and ladder → everything that will be made, in which chunks, under which version. Pure."""

from __future__ import annotations

import hashlib
from fractions import Fraction

import msgspec

from farm.grid import SOUND_FRAME, SOUND_RATE, Grid, constant_rate, grid
from farm.media import MediaInfo, Picture
from shared.jobs import POSTER_CHUNK, SOUND_CHUNK
from shared.ladder import AUDIO_RENDITION, LADDER, Rendition, Rung, renditions

#: Changes whenever the same plan would give other bytes.
RECIPE = 1
#: Sound that outlasts the picture by more than this holds the last picture; less is cut.
HOLD_S = 1
#: Where in the title the poster is taken, and its widest side.
POSTER_AT, POSTER_SIDE = 0.1, 1280
#: Bit rate of sound.
SOUND_KBPS = 128


class VideoPlan(msgspec.Struct, frozen=True):
    """The picture: `frames` on the grid, decoded once, in all renditions (highest first)."""

    stream: int
    grid: Grid
    frames: int
    renditions: tuple[Rendition, ...]
    hold_frames: int = 0
    deinterlace: bool = False
    tonemap: bool = False


class SoundPlan(msgspec.Struct, frozen=True):
    """The sound: `samples` at 48 kHz stereo, cut near the picture's borders; no stream means silence."""

    stream: int | None
    samples: int
    segment_num: int
    segment_den: int
    kbps: int = SOUND_KBPS
    name: str = AUDIO_RENDITION

    @property
    def segment_s(self) -> Fraction:
        """Seconds a full segment of the picture lasts."""
        return Fraction(self.segment_num, self.segment_den)


class PosterPlan(msgspec.Struct, frozen=True):
    """The still: a frame of the picture, the cover that came with the sound, or a drawing of the sound."""

    stream: int
    source: str
    at_s: float
    width: int
    height: int


class ChunkPlan(msgspec.Struct, frozen=True):
    """A piece of the picture that one ffmpeg makes: whole segments."""

    name: str
    first_frame: int
    frames: int


class Plan(msgspec.Struct, frozen=True):
    """All that decides the bytes of a version."""

    title: str
    master_sha256: str
    demuxer: str
    origin_us: int
    video: VideoPlan | None
    sound: SoundPlan
    poster: PosterPlan
    pieces: tuple[ChunkPlan, ...]
    encoder: str
    build: str
    container: str = "cmaf"
    protection: str = "none"
    variants: tuple[str, ...] = ("0",)
    recipe: int = RECIPE

    @property
    def version(self) -> str:
        """The plan's own hash: the same master, title and plan give the same version."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()[:32]

    @property
    def chunks(self) -> tuple[str, ...]:
        """The names of all chunks, as tickets carry them."""
        return (*(piece.name for piece in self.pieces), SOUND_CHUNK, POSTER_CHUNK)

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


def plan(info: MediaInfo, recipe: Recipe) -> Plan:
    """Decide everything. `info` was accepted by the probe: it has a picture or a sound."""
    picture = None if recipe.sound_only else info.picture
    video = _video(info, picture, recipe.ladder) if picture else None
    seconds = video.frames / video.grid.rate if video else _span(info.sound.end_s if info.sound else 0.0, info)
    return Plan(
        title=recipe.title,
        master_sha256=recipe.master_sha256,
        demuxer=info.demuxer,
        origin_us=info.origin_us,
        video=video,
        sound=_sound(info, seconds, video.grid if video else grid(Fraction(25))),
        poster=_poster(info, float(seconds)),
        pieces=(ChunkPlan("0", 0, video.frames),) if video else (),
        encoder=recipe.encoder,
        build=recipe.build,
    )


def _span(end_s: float, info: MediaInfo) -> Fraction:
    """From the file's first time to `end_s`, to the microsecond."""
    return Fraction(round(end_s * 1_000_000) - info.origin_us, 1_000_000)


def _video(info: MediaInfo, picture: Picture, ladder: tuple[Rung, ...]) -> VideoPlan:
    rate = constant_rate(picture.rate, constant=picture.constant)
    frames = _frames(info, picture, rate)
    hold = 0
    if info.sound and (over := _span(info.sound.end_s, info) - frames / rate) > HOLD_S:
        hold = round(over * rate)
    return VideoPlan(
        stream=picture.stream,
        grid=grid(rate),
        frames=frames + hold,
        renditions=renditions(picture.width, picture.height, float(rate), ladder=ladder),
        hold_frames=hold,
        deinterlace=picture.interlaced,
        tonemap=picture.hdr,
    )


def _frames(info: MediaInfo, picture: Picture, rate: Fraction) -> int:
    """Frames from zero to the picture's end: a constant pace keeps each one, after what fills a late start."""
    if picture.constant and rate == picture.rate:
        return round(_span(picture.start_s, info) * rate) + picture.frames
    return max(1, round(_span(picture.end_s, info) * rate))


def _sound(info: MediaInfo, seconds: Fraction, on: Grid) -> SoundPlan:
    return SoundPlan(
        stream=info.sound.stream if info.sound else None,
        samples=max(2 * SOUND_FRAME, round(seconds * SOUND_RATE)),
        segment_num=on.segment_s.numerator,
        segment_den=on.segment_s.denominator,
    )


def _poster(info: MediaInfo, seconds: float) -> PosterPlan:
    if info.picture:
        width, height = _poster_size(info.picture.width, info.picture.height)
        return PosterPlan(info.picture.stream, "frame", round(seconds * POSTER_AT, 3), width, height)
    if info.cover:
        width, height = _poster_size(info.cover.width, info.cover.height)
        return PosterPlan(info.cover.stream, "cover", 0.0, width, height)
    return PosterPlan(info.sound.stream if info.sound else 0, "drawn", 0.0, POSTER_SIDE, POSTER_SIDE * 9 // 16)


def _poster_size(width: int, height: int) -> tuple[int, int]:
    scale = min(1.0, POSTER_SIDE / max(width, height))
    return max(2, round(width * scale / 2) * 2), max(2, round(height * scale / 2) * 2)
