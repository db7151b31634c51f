"""A film whose every frame shows its own number, and reading the numbers back: black and white bars, one a bit."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

import av

#: Frames are counted to 65536.
BITS = 16
_WHITE = 128


def source(frames: int, rate: str = "25", size: str = "160x90") -> str:
    """ffmpeg's source of such a film: the lowest bit is on the left."""
    width, height = size.split("x")
    seconds = float(frames / Fraction(rate))
    bars = f"geq=lum='if(bitand(N,pow(2,X)),235,16)':cb=128:cr=128,scale={width}:{height}:flags=neighbor,setsar=1"
    return f"color=black:size={BITS}x16:rate={rate}:duration={seconds:.6f},format=yuv420p,{bars}"


def numbers(frames: Iterable[av.VideoFrame | av.AudioFrame]) -> list[int]:
    """The number that each frame shows."""
    return [number(frame) for frame in frames if isinstance(frame, av.VideoFrame)]


def number(frame: av.VideoFrame) -> int:
    """The number in the middle line of a frame, or in the middle column of one that was turned a quarter."""
    line = _line(frame)
    bits = [line[(2 * bit + 1) * len(line) // (2 * BITS)] > _WHITE for bit in range(BITS)]
    return sum(1 << bit for bit, on in enumerate(bits) if on)


def _line(frame: av.VideoFrame) -> bytes:
    """Luma along the longer side, on a line of the upper field; upright, from the bottom up, as turned to the left."""
    plane = frame.planes[0]
    data = bytes(plane)
    if frame.width > frame.height:
        start = frame.height // 4 * 2 * plane.line_size
        return data[start : start + frame.width]
    return bytes(data[row * plane.line_size + frame.width // 2] for row in reversed(range(frame.height)))
