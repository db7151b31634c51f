"""The probe: a local master → MediaInfo, or MasterRejected with words for the person who uploaded it.

Only containers on the allow-list are opened, by their own demuxer and from a plain file, so a playlist or script never
makes the farm read something else. Frames are counted in the file's index, or by reading all of it.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from farm import original, refusals, sniff
from farm.first_picture import first_picture
from farm.media import STANDARD_RATES, Cover, MediaInfo, Picture, Sound
from farm.times import Times, times
from farm.tracks import Track, tracks

#: Sound that starts this much before the picture is kept; less is cut.
LEAD_S = 0.2
#: Times in milliseconds (Matroska, AVI) may be this far off the grid.
OFF_GRID_S = 0.00101
#: Of all places where decoding may start, the first of each such stretch is told.
KEYS_EVERY_S = 0.5
#: An MP4's index tells what libav would else read five seconds of it and decode some pictures for.
_UNREAD = {"analyzeduration": "1"}
_UNDECODED = {"skip_frame": "all"}
_HDR_TRANSFERS = frozenset({16, 18})
_INTERLACED_ORDERS = frozenset({2, 3, 4, 5})
_UNNAMED = frozenset({"SoundHandler", "VideoHandler", "Core Media Audio"})
_TITLE_LENGTH = 200


class Master(msgspec.Struct, frozen=True):
    """The file that is looked at. `tracks`: of an MP4, None for other containers."""

    path: Path
    size: int
    demuxer: str
    tracks: dict[int, Track] | None


def probe(path: Path, *, sound_only: bool = False) -> MediaInfo:
    """Look at a master. Blocks. Raises MasterRejected; reads no other file and no network."""
    try:
        return _found(path, sound_only=sound_only)
    except MemoryError:  # libav's own is one too
        refusals.memory()


def _found(path: Path, *, sound_only: bool) -> MediaInfo:
    size = path.stat().st_size
    demuxer = _sniff(path, size)
    master = Master(path, size, demuxer, tracks(path, size) if demuxer == "mov" else None)
    try:
        with _opened(master) as container:
            return _look(container, master, sound_only=sound_only)
    except MemoryError:
        raise
    except (av.FFmpegError, OverflowError) as error:
        why = str(getattr(error, "strerror", None) or error)
        refusals.reject("unreadable", f"The file cannot be read as {_named(demuxer)}: {why.lower()}.")


def _opened(master: Master) -> InputContainer:
    """The file as libav reads it, which stops at one stream more than is taken."""
    most = refusals.MAX_STREAMS + 1
    options: dict[str, Any] = {"protocol_whitelist": "file", "max_streams": str(most)}
    known: dict[str, Any] = {}
    if master.demuxer == "mov":
        options |= _UNREAD
        known = {"stream_options": [_UNDECODED] * most}
    level = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        with av.logging.Capture() as said:
            opened: InputContainer = av.open(
                f"file:{master.path}",
                format=master.demuxer,
                metadata_errors="replace",
                container_options=options,
                **known,
            )
            return opened
    except av.FFmpegError:
        if any("max_streams" in words for *_, words in said):
            refusals.more_streams()
        raise
    except ValueError:  # options for streams, and not one stream
        refusals.no_media()
    finally:
        av.logging.set_level(level)


def _named(demuxer: str) -> str:
    return {"mov": "MP4 or QuickTime", "matroska": "Matroska or WebM", "mpegts": "MPEG-TS"}.get(
        demuxer, demuxer.upper()
    )


def _sniff(path: Path, size: int) -> str:
    if size == 0:
        refusals.reject("empty", "The file is empty (0 bytes).")
    with path.open("rb") as file:
        head = file.read(sniff.SNIFF_BYTES)
    demuxer = sniff.demuxer(head)
    if demuxer is None:
        refusals.reject("not-media", f"This is {sniff.what_else(head)}, not a video or sound.")
    return demuxer


def _look(container: InputContainer, master: Master, *, sound_only: bool) -> MediaInfo:
    refusals.streams(len(container.streams))
    video = None if sound_only else _video_stream(container)
    audios = [stream for stream in container.streams.audio if stream.codec_context is not None]
    if video is None and not audios:
        refusals.no_media(sound_only=sound_only)
    if video is not None:
        refusals.size(video.codec_context.width, video.codec_context.height)
    shown = times(container, [*([video] if video else []), *audios], size=master.size, tracks=master.tracks)
    picture = _picture(container, video, shown[video.index], master=master) if video else None
    sounds = _sounds(audios, shown)
    sound = next((one for one in sounds if one.default), sounds[0] if sounds else None)
    if picture is None and sound is None:
        refusals.reject("no-duration", "Nothing in this file lasts any time.")
    info = MediaInfo(
        demuxer=master.demuxer,
        size_bytes=master.size,
        origin_us=_origin_us(container, picture),
        picture=picture,
        sound=sound,
        cover=_cover(container) if picture is None else None,
        sounds=sounds,
    )
    end_s = max([*(one.end_s for one in sounds), *([picture.end_s] if picture else [])])
    refusals.length(end_s - info.origin_s, said=(container.duration or 0) / 1e6, demuxer=master.demuxer)
    return info


def _origin_us(container: InputContainer, picture: Picture | None) -> int:
    """Zero is the first picture, unless sound goes well before it: priming of sound is no reason for a held frame."""
    first = container.start_time or 0
    if picture and picture.start_s * 1e6 - first < LEAD_S * 1e6:
        return round(picture.start_s * 1e6)
    return first


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition & (Disposition.attached_pic | Disposition.timed_thumbnails))


def _video_stream(container: InputContainer) -> VideoStream | None:
    return next((s for s in container.streams.video if not _is_cover(s)), None)


def _picture(container: InputContainer, stream: VideoStream, shown: Times, *, master: Master) -> Picture:
    context, tick = stream.codec_context, stream.time_base
    if not shown.starts or tick is None:
        refusals.reject("no-frames", "There is a video stream, but not one picture in it.")
    rate, constant = _pace(stream, shown, tick)
    first = first_picture(container, stream)
    refusals.size(first.width, first.height)
    last = shown.end if shown.end > shown.starts[-1] else shown.starts[-1] + round(1 / (rate * tick))
    sar = _pixel_shape(stream, first)
    width, height = round(first.width * sar) or 1, first.height
    turned = first.rotation % 180 != 0
    refusals.size(width, height)
    found = Picture(
        stream=stream.index,
        codec=context.name,
        width=height if turned else width,
        height=width if turned else height,
        rate_num=rate.numerator,
        rate_den=rate.denominator,
        constant=constant,
        frames=len(shown.starts),
        start_s=float(shown.starts[0] * tick),
        end_s=float(last * tick),
        rotation=first.rotation,
        sar_num=sar.numerator,
        sar_den=sar.denominator,
        interlaced=first.interlaced_frame or int(context.field_order or 0) in _INTERLACED_ORDERS,
        hdr=int(context.color_trc or 0) in _HDR_TRANSFERS,
        keyframes=_thinned([float(at * tick) for at in shown.keys]),
    )
    track = master.tracks.get(stream.id) if master.tracks else None
    return msgspec.structs.replace(found, **original.facts(stream, found, shown, track=track, path=master.path))


def _thinned(keys: list[float]) -> tuple[float, ...]:
    """The first of each half second, counted from the very first, so that those on a grid of seconds stay."""
    first_of = {int((at - keys[0]) / KEYS_EVERY_S + 1e-6): at for at in reversed(keys)}
    return tuple(first_of[stretch] for stretch in sorted(first_of))


def _pixel_shape(stream: VideoStream, frame: VideoFrame) -> Fraction:
    """The shape of a pixel; 1 where the file says nothing sane."""
    sar = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return sar if sar and Fraction(1, 10) <= sar <= 10 else Fraction(1)


def _pace(stream: VideoStream, shown: Times, tick: Fraction) -> tuple[Fraction, bool]:
    """The rate on whose grid every frame lies, and True; else the average, and False."""
    count, span = len(shown.starts), max(shown.end, shown.starts[-1]) - shown.starts[0]
    if span <= 0 or (count > 1 and shown.starts[-1] == shown.starts[0]):
        refusals.reject("no-rate", "The picture has no frame rate (0 frames a second).")
    hints = (stream.guessed_rate, stream.base_rate, stream.average_rate, *STANDARD_RATES)
    for rate in dict.fromkeys(hint for hint in hints if hint):
        if 0 < rate <= 1000 and _on_grid(shown.starts, rate * tick, max(OFF_GRID_S, 1.01 * float(tick)) * rate):
            refusals.rate(rate if count > 1 else Fraction(1))
            return rate, True
    refusals.rate(count / (span * tick))
    return Fraction(count / (span * tick)).limit_denominator(1001), False


def _on_grid(starts: list[int], per_tick: Fraction, slack: float) -> bool:
    """Whether frame i is at i frames from the first, within `slack` frames (and slack is well under one)."""
    first, step = starts[0], float(per_tick)
    return slack < 0.5 and all(abs((at - first) * step - index) <= slack for index, at in enumerate(starts))


def _sounds(streams: list[AudioStream], shown: dict[int, Times]) -> tuple[Sound, ...]:
    """All sounds that can be decoded, in the file's order."""
    lasting = [stream for stream in streams if shown[stream.index].starts]
    sane = [stream for stream in lasting if stream.codec_context.sample_rate and stream.codec_context.channels]
    if lasting and not sane:
        refusals.reject("undecodable", f"The sound ({lasting[0].codec_context.name}) cannot be decoded.")
    return tuple(_sound(stream, shown[stream.index]) for stream in sane)


def _sound(stream: AudioStream, found: Times) -> Sound:
    context, tick = stream.codec_context, stream.time_base or Fraction(1)
    title = stream.metadata.get("title") or stream.metadata.get("handler_name", "")
    return Sound(
        stream=stream.index,
        codec=context.name,
        rate=context.sample_rate,
        channels=context.channels,
        start_s=float(found.starts[0] * tick),
        end_s=float(max(found.end, found.starts[-1]) * tick),
        language=stream.language or "und",
        title="" if title in _UNNAMED else title[:_TITLE_LENGTH],
        default=bool(stream.disposition & Disposition.default),
        layout=context.layout.name,
    )


def _cover(container: InputContainer) -> Cover | None:
    for stream in container.streams.video:
        context = stream.codec_context
        if _is_cover(stream) and refusals.MIN_SIDE <= min(context.width, context.height) <= refusals.MAX_SIDE:
            return Cover(stream.index, context.width, context.height)
    return None
