"""MediaInfo and ladder → the plan. Pure."""

from __future__ import annotations

from fractions import Fraction

from farm import soundtracks
from farm.grid import constant_rate, grid
from farm.media import MediaInfo, Picture
from farm.plan import ChunkPlan, Plan, Recipe, VideoPlan
from farm.posters import poster
from shared.ladder import Rung, renditions

#: Sound that outlasts the picture by more than this holds the last picture; less is cut.
HOLD_S = 1


def plan(info: MediaInfo, recipe: Recipe) -> Plan:
    """Decide everything. `info` was accepted by the probe: it has a picture or a sound."""
    picture = None if recipe.sound_only else info.picture
    video = _video(info, picture, recipe.ladder) if picture else None
    seconds = video.frames / video.grid.rate if video else _span(info.sound.end_s if info.sound else 0.0, info)
    on = video.grid if video else grid(Fraction(25))
    sounds = soundtracks.sounds(info, seconds, on, loudness=recipe.loudness)
    return Plan(
        title=recipe.title,
        master_sha256=recipe.master_sha256,
        demuxer=info.demuxer,
        origin_us=info.origin_us,
        video=video,
        sounds=sounds,
        poster=poster(info, float(seconds)),
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
