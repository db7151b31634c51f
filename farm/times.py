"""When the frames of a stream are shown: from the index of an MP4, or by reading all of the file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import chain, repeat
from typing import Any

import av
import msgspec
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

from farm import refusals
from farm.tracks import Track

Stream = VideoStream | AudioStream
Sample = tuple[int, int, int, int]
DISCARDED, KEY = 2, 1


class Times(msgspec.Struct):
    """When frames are shown, in the stream's ticks.

    `starts`: each frame, in order. `end`: when the last one ends. `keys`: those from which decoding may start.
    `decoded`: the same as `starts`, but in the order of decoding; empty where the file's index does not tell.
    `samples`: with `decoded`, what the index says of each: when it is decoded, where it lies, bytes, flags.
    """

    starts: list[int]
    end: int
    keys: list[int] = []
    decoded: list[int] = []
    samples: list[Sample] = []


def times(
    container: InputContainer, streams: list[Stream], *, size: int, tracks: Mapping[int, Track] | None = None
) -> dict[int, Times]:
    """The times of each of `streams` by its index. `tracks`: an MP4's, for a file of `size`. Raises MasterRejected."""
    if tracks is not None:
        found = {stream.index: _from_index(stream, tracks.get(stream.id), size=size) for stream in streams}
        whole = {index: times for index, times in found.items() if times is not None}
        if len(whole) == len(streams):
            return whole
    return _read(container, streams)


def _from_index(stream: Stream, track: Track | None, *, size: int) -> Times | None:
    """From the index of an MP4 that has one for the whole stream."""
    entries = stream.index_entries
    if not stream.frames or len(entries) != stream.frames or not stream.duration:
        return None
    refusals.frames(len(entries))
    first = stream.start_time or 0
    if isinstance(stream, AudioStream):
        _check_there(max(entry.pos + entry.size for entry in entries), size)
        return Times([first], first + stream.duration)
    found = [(entry.timestamp, entry.pos, entry.size, entry.flags) for entry in entries]
    _check_there(max(pos + length for _, pos, length, _ in found), size)
    known = _expanded(track, len(found))
    kept = [
        (at + offset, flags & KEY)
        for (at, _, _, flags), offset in zip(found, known or repeat(0), strict=bool(known))
        if not flags & DISCARDED
    ]
    if not kept:
        return None
    shift = first - min(kept)[0]
    decoded = [at + shift for at, _ in kept]
    keys = sorted(at + shift for at, key in kept if key)
    told = len(kept) == len(found) == len(known)
    return Times(sorted(decoded), first + stream.duration, keys, decoded if told else [], found if told else [])


def _check_there(last: int, size: int) -> None:
    """Raises MasterRejected for samples past the end of the file."""
    if last > size:
        refusals.cut_off(f"{size} bytes are there, its index names {last}")


def _expanded(track: Track | None, count: int) -> list[int]:
    """The offset of each of `count` samples; none where the track's table is not of as many."""
    if track is None:
        return []
    runs = track.offsets or ((count, 0),)
    if sum(samples for samples, _ in runs) != count:
        return []
    return list(chain.from_iterable(repeat(offset, samples) for samples, offset in runs))


def _read(container: InputContainer, streams: list[Stream]) -> dict[int, Times]:
    """By reading all of the file."""
    demuxer = container.format.name
    read = {stream.index: Times([], 0) for stream in streams}
    latest: dict[int, int] = {}
    for packet in _packets(container, streams):
        at = packet.dts if packet.pts is None or demuxer == "avi" else packet.pts
        if at is None or packet.size == 0:
            continue
        found = read[packet.stream.index]
        if demuxer == "mpegts":
            refusals.jump((at - latest.get(packet.stream.index, at)) * (packet.time_base or Fraction(1)))
        latest[packet.stream.index] = at
        found.starts.append(at)
        found.end = max(found.end, at + (packet.duration or 0))
        if packet.is_keyframe and isinstance(packet.stream, VideoStream):
            found.keys.append(at)
        refusals.frames(len(found.starts))
    if any(found.starts for found in read.values()):  # where there is nothing, libav finds no way back to it
        container.seek(0)
    for found in read.values():
        found.starts.sort()
        found.keys.sort()
    return read


def _packets(container: InputContainer, streams: list[Stream]) -> Iterator[Packet[Any]]:
    try:
        yield from container.demux(streams)
    except MemoryError:
        raise
    except av.FFmpegError:
        refusals.reject("truncated", "The file is damaged or cut off in the middle. Copy or export it again.")
