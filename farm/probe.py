"""The probe: a local master → MediaInfo, or MasterRejected with words for the person who uploaded it.

Only containers on the allow-list are opened, by their own demuxer and from a plain file, so a playlist or script never
makes the farm read something else. Frames are counted in the file's index, or by reading all of it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import av
import msgspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from farm import sniff
from farm.media import STANDARD_RATES, Cover, MediaInfo, Picture, Sound
from shared.errors import MasterRejected

MAX_STREAMS = 64
MIN_SIDE, MAX_SIDE = 16, 8192
MAX_HOURS = 24
#: Packets read in search of a first picture.
FIRST_PICTURE_PACKETS = 500
#: Sound that starts this much before the picture is kept; less is cut.
LEAD_S = 0.2
#: A gap in a transport stream's times that no player would bridge.
MAX_JUMP_S = 10
#: What a container may promise beyond what is there.
SLACK_S, SLACK = 1.0, 0.01
#: Times in milliseconds (Matroska, AVI) may be this far off the grid.
OFF_GRID_S = 0.00101
#: Containers whose header says a length that a cut file no longer has.
PROMISING = frozenset({"matroska", "avi", "flac", "wav"})
_HDR_TRANSFERS = frozenset({16, 18})
_INTERLACED_ORDERS = frozenset({2, 3, 4, 5})
_DISCARDED = 2


class Times(msgspec.Struct):
    """When a stream's frames are shown, in its own ticks and in order; `end` is when the last one ends."""

    starts: list[int]
    end: int


def probe(path: Path, *, sound_only: bool = False) -> MediaInfo:
    """Look at a master. Blocks. Raises MasterRejected; reads no other file and no network."""
    size = path.stat().st_size
    demuxer = _sniff(path, size)
    if demuxer == "mov":
        _check_boxes(path, size)
    try:
        with av.open(
            f"file:{path}", format=demuxer, container_options={"protocol_whitelist": "file"}, metadata_errors="replace"
        ) as container:
            return _look(container, demuxer=demuxer, size=size, sound_only=sound_only)
    except (av.FFmpegError, OverflowError) as error:
        _reject(
            "unreadable", f"The file cannot be read as {_named(demuxer)}: {error.args[-1] if error.args else error}"
        )


def _reject(code: str, words: str) -> NoReturn:
    raise MasterRejected(words, code=code)


def _why(error: Exception) -> str:
    return str(error.strerror if isinstance(error, av.FFmpegError) else error)


def _named(demuxer: str) -> str:
    return {"mov": "MP4 or QuickTime", "matroska": "Matroska or WebM", "mpegts": "MPEG-TS"}.get(
        demuxer, demuxer.upper()
    )


def _sniff(path: Path, size: int) -> str:
    if size == 0:
        _reject("empty", "The file is empty (0 bytes).")
    with path.open("rb") as file:
        head = file.read(sniff.SNIFF_BYTES)
    demuxer = sniff.demuxer(head)
    if demuxer is None:
        _reject("not-media", f"This is {sniff.what_else(head)}, not a video or sound.")
    return demuxer


def _check_boxes(path: Path, size: int) -> None:
    """The outermost boxes of MP4 must end where the file ends, and the index must be among them."""
    kinds = set()
    with path.open("rb") as file:
        for kind, end in _outer_boxes(file.fileno(), size):
            kinds.add(kind)
            if end > size:
                _reject(
                    "truncated", f"The file is cut off: {size} bytes are there, it says {end}. Copy or export it again."
                )
    if b"moov" not in kinds:
        _reject("truncated", "The file is cut off: its index (moov) is missing. Copy or export it again.")


def _outer_boxes(file: int, size: int) -> Iterator[tuple[bytes, int]]:
    at = 0
    while at + 8 <= size:
        head = os.pread(file, 16, at)
        length, kind = struct.unpack(">I4s", head[:8])
        if length == 1 and len(head) == 16:
            (length,) = struct.unpack(">Q", head[8:])
        elif length == 0:
            length = size - at
        if length < 8:
            return
        at += length
        yield kind, at


def _look(container: InputContainer, *, demuxer: str, size: int, sound_only: bool) -> MediaInfo:
    if len(container.streams) > MAX_STREAMS:
        _reject("too-many-streams", f"The file holds {len(container.streams)} streams; at most {MAX_STREAMS} are read.")
    video = None if sound_only else _video_stream(container)
    audio = next((s for s in container.streams.audio if s.codec_context is not None), None)
    if video is None and audio is None:
        _reject("no-sound" if sound_only else "no-media", "There is no picture and no sound in this file.")
    times = _times(container, demuxer, [stream for stream in (video, audio) if stream is not None])
    picture = _picture(container, video, times) if video else None
    sound = _sound(audio, times) if audio and times[audio.index].starts else None
    if picture is None and sound is None:
        _reject("no-duration", "Nothing in this file lasts any time.")
    info = MediaInfo(
        demuxer=demuxer,
        size_bytes=size,
        origin_us=_origin_us(container, picture),
        picture=picture,
        sound=sound,
        cover=_cover(container) if picture is None else None,
    )
    _check_length(container, info)
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


def _times(container: InputContainer, demuxer: str, streams: list[VideoStream | AudioStream]) -> dict[int, Times]:
    indexed = {stream.index: found for stream in streams if (found := _from_index(stream, demuxer)) is not None}
    if len(indexed) == len(streams):
        return indexed
    read = {stream.index: Times([], 0) for stream in streams}
    latest: dict[int, int] = {}
    for packet in _packets(container, streams):
        at = packet.dts if packet.pts is None or demuxer == "avi" else packet.pts
        if at is None or packet.size == 0:
            continue
        times = read[packet.stream.index]
        if demuxer == "mpegts":
            _check_jump(at - latest.get(packet.stream.index, at), packet.time_base or Fraction(1))
        latest[packet.stream.index] = at
        times.starts.append(at)
        times.end = max(times.end, at + (packet.duration or 0))
        if len(times.starts) > MAX_HOURS * 3600 * 500:
            _reject("absurd", "The file holds more frames than a day of video.")
    container.seek(0)
    for times in read.values():
        times.starts.sort()
    return read


def _packets(container: InputContainer, streams: list[VideoStream | AudioStream]) -> Iterator[Packet[Any]]:
    try:
        yield from container.demux(streams)
    except av.FFmpegError:
        _reject("truncated", "The file is damaged or cut off in the middle. Copy or export it again.")


def _check_jump(ticks: int, time_base: Fraction) -> None:
    if abs(ticks * time_base) > MAX_JUMP_S:
        _reject("broken-times", f"Its times jump by {float(ticks * time_base):.0f} s in the middle; export it again.")


def _from_index(stream: VideoStream | AudioStream, demuxer: str) -> Times | None:
    """From the index of an MP4 that has one for the whole stream; its times are of decoding, equal in number."""
    entries = stream.index_entries
    if demuxer != "mov" or not stream.frames or len(entries) != stream.frames or not stream.duration:
        return None
    if isinstance(stream, AudioStream):
        return Times([stream.start_time or 0], (stream.start_time or 0) + stream.duration)
    kept = [entry.timestamp for entry in entries if not entry.flags & _DISCARDED]
    if not kept:
        return None
    shift = (stream.start_time or 0) - kept[0]
    return Times([at + shift for at in kept], (stream.start_time or 0) + stream.duration)


def _picture(container: InputContainer, stream: VideoStream, times: dict[int, Times]) -> Picture:
    context, tick = stream.codec_context, stream.time_base
    _check_size(context.width, context.height)
    shown = times[stream.index]
    if not shown.starts or tick is None:
        _reject("no-frames", "There is a video stream, but not one picture in it.")
    first = _first_picture(container, stream)
    _check_size(first.width, first.height)
    rate, constant = _pace(stream, shown, tick)
    last = shown.end if shown.end > shown.starts[-1] else shown.starts[-1] + round(1 / (rate * tick))
    sar = _pixel_shape(stream, first)
    width, height = round(first.width * sar) or 1, first.height
    turned = first.rotation % 180 != 0
    _check_size(width, height)
    return Picture(
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
    )


def _pixel_shape(stream: VideoStream, frame: VideoFrame) -> Fraction:
    """The shape of a pixel; 1 where the file says nothing sane."""
    sar = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
    return sar if sar and Fraction(1, 10) <= sar <= 10 else Fraction(1)


def _check_size(width: int, height: int) -> None:
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        _reject("absurd", f"The picture is {width}x{height}; each side must be {MIN_SIDE} to {MAX_SIDE} pixels.")


def _first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame:
    stream.codec_context.thread_type = "NONE"
    for count, packet in enumerate(container.demux(stream)):
        try:
            if frames := packet.decode():
                return frames[0]
        except av.FFmpegError:
            continue
        if count > FIRST_PICTURE_PACKETS:
            break
    _reject("undecodable", f"The picture ({stream.codec_context.name}) cannot be decoded.")


def _pace(stream: VideoStream, shown: Times, tick: Fraction) -> tuple[Fraction, bool]:
    """The rate on whose grid every frame lies, and True; else the average, and False."""
    count, span = len(shown.starts), max(shown.end, shown.starts[-1]) - shown.starts[0]
    hints = (stream.guessed_rate, stream.base_rate, stream.average_rate, *STANDARD_RATES)
    for rate in dict.fromkeys(hint for hint in hints if hint):
        if 0 < rate <= 1000 and _on_grid(shown.starts, rate * tick, max(OFF_GRID_S, 1.01 * float(tick)) * rate):
            return rate, True
    if span <= 0:
        _reject("no-rate", "The picture has no frame rate (0 frames a second).")
    return Fraction(count / (span * tick)).limit_denominator(1001), False


def _on_grid(starts: list[int], per_tick: Fraction, slack: float) -> bool:
    """Whether frame i is at i frames from the first, within `slack` frames (and slack is well under one)."""
    first, step = starts[0], float(per_tick)
    return slack < 0.5 and all(abs((at - first) * step - index) <= slack for index, at in enumerate(starts))


def _sound(stream: AudioStream, times: dict[int, Times]) -> Sound:
    context, tick, found = stream.codec_context, stream.time_base or Fraction(1), times[stream.index]
    if not context.sample_rate or not context.channels:
        _reject("undecodable", f"The sound ({context.name}) cannot be decoded.")
    return Sound(
        stream=stream.index,
        codec=context.name,
        rate=context.sample_rate,
        channels=context.channels,
        start_s=float(found.starts[0] * tick),
        end_s=float(max(found.end, found.starts[-1]) * tick),
    )


def _cover(container: InputContainer) -> Cover | None:
    for stream in container.streams.video:
        context = stream.codec_context
        if _is_cover(stream) and MIN_SIDE <= min(context.width, context.height) <= MAX_SIDE:
            return Cover(stream.index, context.width, context.height)
    return None


def _check_length(container: InputContainer, info: MediaInfo) -> None:
    end = max(part.end_s for part in (info.picture, info.sound) if part) - info.origin_s
    if end <= 0:
        _reject("no-duration", "Nothing in this file lasts any time.")
    if end > MAX_HOURS * 3600:
        _reject("absurd", f"The file says it lasts {end / 3600:.0f} hours; at most {MAX_HOURS} are taken.")
    said = (container.duration or 0) / 1e6
    if info.demuxer in PROMISING and said - end > max(SLACK_S, SLACK * said):
        _reject(
            "truncated", f"The file is cut off: it says {said:.0f} s, {end:.0f} s are there. Copy or export it again."
        )
