"""The first picture of a master: what only a decoder knows of it. Of H.264 in an MP4 its head is decoded alone."""

from __future__ import annotations

from collections.abc import Iterator

import av
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from farm import refusals
from farm.units import IDR, SLICE, units, width_of
from shared.errors import MasterRejected

#: Packets read in search of a first picture.
PACKETS = 500
#: Bytes of a slice that a head keeps: more than its header takes.
_SLICE_BYTES = 256
#: libavcodec would else paint what a head lacks.
_NO_CONCEALMENT = {"ec": "0"}


def first_picture(container: InputContainer, stream: VideoStream) -> VideoFrame:
    """The first picture that can be decoded, without those that are decoded after it and shown before. Blocks.

    Its size, shape, rotation and fields are right; what it shows may be missing. Raises MasterRejected.
    """
    context = stream.codec_context
    context.thread_type = "NONE"
    width = width_of(bytes(context.extradata or b"")) if context.name == "h264" else 0
    if width:
        context.options = _NO_CONCEALMENT
    lacks_memory = False
    for count, packet in enumerate(container.demux(stream)):
        tries = (_head(packet, width), packet) if width and packet.is_keyframe else (packet,)
        for part in tries:
            try:
                if frames := context.decode(part) or (packet.is_keyframe and context.decode(None)):
                    return frames[0]
            except av.FFmpegError as error:
                lacks_memory |= isinstance(error, MemoryError)
            if packet.is_keyframe:
                context.flush_buffers()
        if count > PACKETS:
            break
    if lacks_memory:
        refusals.memory()
    raise MasterRejected(f"The picture ({context.name}) cannot be decoded.", code="undecodable")


def _head(packet: Packet[VideoStream], width: int) -> Packet[Stream]:
    """A picture up to the first bytes of its first slice: enough to say what it is like, and quick to decode."""
    return Packet(b"".join(_kept(bytes(packet), width)))


def _kept(data: bytes, width: int) -> Iterator[bytes]:
    for kind, start, stop in units(lambda count, at: data[at : at + count], 0, len(data), width=width):
        is_slice = SLICE <= kind <= IDR
        unit = data[start : min(stop, start + _SLICE_BYTES)] if is_slice else data[start:stop]
        yield len(unit).to_bytes(width, "big") + unit
        if is_slice:
            return
