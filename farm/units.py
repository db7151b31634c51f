"""The units of a picture as MP4 and Matroska keep H.264 (ITU-T H.264, 7.4.1; ISO/IEC 14496-15, 5.3.3). Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator

#: Of a unit: sequence and picture parameters, a slice of a picture that can stand alone and of one that cannot.
SEQUENCE, PARAMETERS, IDR, SLICE = 7, 8, 5, 1
#: Units looked at in search of a picture's first slice.
MOST = 24


def width_of(avcc: bytes) -> int:
    """Bytes of the length before each unit, by the configuration record; 0 where this is none."""
    return (avcc[4] & 3) + 1 if len(avcc) >= 7 and avcc[0] == 1 else 0


def units(read: Callable[[int, int], bytes], at: int, end: int, *, width: int) -> Iterator[tuple[int, int, int]]:
    """Of the picture at `[at, end)`: kind, first byte, byte after the last. `read(count, at)` gives its bytes."""
    for _ in range(MOST):
        head = read(width + 1, at)
        start = at + width
        if len(head) <= width:
            return
        stop = start + int.from_bytes(head[:width], "big")
        if not start < stop <= end:
            return
        yield head[width] & 31, start, stop
        at = stop
