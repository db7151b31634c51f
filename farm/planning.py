"""MediaInfo and ladder → the plan. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction

import msgspec

from farm import copying, cuts, soundtracks
from farm.encoders import encoder
from farm.encoders.cards import decoding
from farm.grid import constant_rate, grid
from farm.media import MediaInfo, Picture
from farm.plan import ChunkPlan, Plan, Recipe, VideoPlan
from farm.posters import poster, storyboard
from shared.ladder import renditions

#: Sound that outlasts the picture by more than this holds the last picture; less is cut.
HOLD_S = 1
#: A title lasts at least this long, by holding its last picture: players show nothing of a shorter one.
LEAST_S = Fraction(1, 2)
#: Containers in which a seek to a keyframe's time arrives there.
EXACT_SEEK = frozenset({"mov", "matroska"})
#: Pictures an encoder keeps of each rendition (looked ahead, referred to, one a thread) and a decoder of the source.
ENCODER_PICTURES, DECODER_PICTURES = 40 + 4 + 8, 16
#: Bytes of a pixel: 4:2:0 as it is encoded, and the most as it is decoded; and what the rest of ffmpeg takes.
ENCODED_PIXEL, DECODED_PIXEL, REST_BYTES = 1.5, 3, 256 << 20


def plan(info: MediaInfo, recipe: Recipe, crfs: Mapping[str, int] | None = None) -> Plan:
    """Decide everything. `info` was accepted by the probe: it has a picture or a sound.

    `crfs`: by rendition, what trials found (farm/pertitle.py); without them the ladder's.
    """
    picture = None if recipe.sound_only else info.picture
    video = _video(info, picture, recipe, crfs=crfs or {}) if picture else None
    seconds = video.frames / video.grid.rate if video else _span(info.sound.end_s if info.sound else 0.0, info)
    on = video.grid if video else grid(Fraction(25))
    sounds = soundtracks.sounds(info, seconds, on)
    return Plan(
        title=recipe.title,
        master_sha256=recipe.master_sha256,
        demuxer=info.demuxer,
        origin_us=info.origin_us,
        video=video,
        sounds=sounds,
        poster=poster(info, float(seconds)),
        pieces=_pieces(info, picture, video) if picture and video else (),
        encoder=recipe.encoder,
        build=recipe.build,
        memory_bytes=memory_bytes(picture, video),
        storyboard=storyboard(info, float(seconds)) if video else None,
        loudness=recipe.loudness,
    )


def memory_bytes(picture: Picture | None, video: VideoPlan | None) -> int:
    """The most memory that making a chunk is expected to take: the pictures that decoder and encoders keep."""
    decoded = picture.width * picture.height * DECODED_PIXEL * DECODER_PICTURES if picture and video else 0
    encoded = sum(made.width * made.height for made in video.renditions) if video else 0
    return REST_BYTES + decoded + round(encoded * ENCODED_PIXEL * ENCODER_PICTURES)


def _pieces(info: MediaInfo, picture: Picture, video: VideoPlan) -> tuple[ChunkPlan, ...]:
    source = cuts.Source(picture.keyframes, info.origin_us, info.demuxer in EXACT_SEEK)
    return cuts.cut(video.frames, video.grid, source, hold_frames=video.hold_frames)


def _span(end_s: float, info: MediaInfo) -> Fraction:
    """From the file's first time to `end_s`, to the microsecond."""
    return Fraction(round(end_s * 1_000_000) - info.origin_us, 1_000_000)


def _video(info: MediaInfo, picture: Picture, recipe: Recipe, *, crfs: Mapping[str, int]) -> VideoPlan:
    rate = constant_rate(picture.rate, constant=picture.constant)
    frames = _frames(info, picture, rate)
    hold = 0
    if info.sound and (over := _span(info.sound.end_s, info) - frames / rate) > HOLD_S:
        hold = round(over * rate)
    hold = max(hold, math.ceil(LEAST_S * rate) - frames)
    fitted = renditions(picture.width, picture.height, float(rate), ladder=recipe.ladder)
    made = VideoPlan(
        stream=picture.stream,
        grid=grid(rate),
        frames=frames + hold,
        renditions=tuple(msgspec.structs.replace(one, crf=crfs.get(one.name, one.crf)) for one in fitted),
        hold_frames=hold,
        deinterlace=picture.interlaced,
        tonemap=picture.hdr,
        decode=decoding(encoder(recipe.encoder), picture),
        scaler="zimg" if picture.pix_fmt == "yuv420p" and not picture.hdr else "swscale",
    )
    return msgspec.structs.replace(made, renditions=(copying.top(info, picture, made), *made.renditions[1:]))


def _frames(info: MediaInfo, picture: Picture, rate: Fraction) -> int:
    """Frames from zero to the picture's end: a constant pace keeps each one, after what fills a late start."""
    if picture.constant and rate == picture.rate:
        return round(_span(picture.start_s, info) * rate) + picture.frames
    return max(1, round(_span(picture.end_s, info) * rate))
