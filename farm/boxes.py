"""Boxes of fragmented MP4 (ISO/IEC 14496-12): walk them, read what playlists need, write an edit list and fragments."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import msgspec

#: tfhd: offsets count from the moof, a default duration, default flags; the flags of a sample that stands alone.
_TFHD_FLAGS, _SYNC_SAMPLE = 0x020000 | 0x8 | 0x20, 0x02000000
#: trun: a data offset and a size for each sample.
_TRUN_FLAGS = 0x1 | 0x200


class Box(msgspec.Struct, frozen=True):
    """Where a box lies in its bytes: `[start, end)`, its payload from `body` on."""

    kind: bytes
    start: int
    body: int
    end: int


class Run(msgspec.Struct, frozen=True):
    """One fragment: the decode time it starts at, and size, duration, composition offset of each sample."""

    decode_time: int
    sizes: tuple[int, ...]
    durations: tuple[int, ...]
    offsets: tuple[int, ...]

    @property
    def ticks(self) -> int:
        """How long the fragment lasts, in the track's timescale."""
        return sum(self.durations)


def boxes(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Box]:
    """The boxes side by side in `data[start:end]`. Raises ValueError where a size leads outside."""
    stop = len(data) if end is None else end
    at = start
    while at < stop:
        if stop - at < 8:
            raise ValueError(f"{stop - at} stray bytes at {at}")
        size, kind = struct.unpack_from(">I4s", data, at)
        body = at + 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, body)
            body += 8
        elif size == 0:
            size = stop - at
        if size < body - at or at + size > stop:
            raise ValueError(f"box {kind!r} at {at} is longer than what holds it")
        yield Box(bytes(kind), at, body, at + size)
        at += size


def find(data: bytes | memoryview, *path: bytes) -> Box | None:
    """The first box at `path`, such as `find(init, b"moov", b"trak", b"tkhd")`."""
    found: Box | None = None
    start, end = 0, len(data)
    for kind in path:
        found = next((box for box in boxes(data, start, end) if box.kind == kind), None)
        if found is None:
            return None
        start, end = found.body, found.end
    return found


def need(data: bytes | memoryview, *path: bytes) -> Box:
    """As `find`; a missing box is a ValueError."""
    if (box := find(data, *path)) is None:
        raise ValueError(f"no {'/'.join(kind.decode('latin1') for kind in path)} box")
    return box


def timescale(init: bytes) -> int:
    """Ticks a second of the only track (mdhd)."""
    box = need(init, b"moov", b"trak", b"mdia", b"mdhd")
    return int.from_bytes(init[box.body + (20 if init[box.body] == 1 else 12) :][:4], "big")


def run(moof: bytes) -> Run:
    """The samples of a fragment with one track."""
    tfdt = need(moof, b"moof", b"traf", b"tfdt")
    wide = moof[tfdt.body] == 1
    (decode_time,) = struct.unpack_from(">Q" if wide else ">I", moof, tfdt.body + 4)
    duration, size = _defaults(moof)
    sizes: list[int] = []
    durations: list[int] = []
    offsets: list[int] = []
    traf = need(moof, b"moof", b"traf")
    for trun in boxes(moof, traf.body, traf.end):
        if trun.kind != b"trun":
            continue
        version, flags = moof[trun.body], int.from_bytes(moof[trun.body + 1 : trun.body + 4], "big")
        (count,) = struct.unpack_from(">I", moof, trun.body + 4)
        at = trun.body + 8 + 4 * bool(flags & 1) + 4 * bool(flags & 4)
        for _ in range(count):
            fields = [duration, size, 0, 0]
            for index, bit in enumerate((0x100, 0x200, 0x400, 0x800)):
                if flags & bit:
                    form = ">i" if bit == 0x800 and version == 1 else ">I"
                    (fields[index],) = struct.unpack_from(form, moof, at)
                    at += 4
            durations.append(fields[0])
            sizes.append(fields[1])
            offsets.append(fields[3])
    return Run(decode_time, tuple(sizes), tuple(durations), tuple(offsets))


def _defaults(moof: bytes) -> tuple[int, int]:
    """Default duration and size of tfhd."""
    tfhd = need(moof, b"moof", b"traf", b"tfhd")
    flags = int.from_bytes(moof[tfhd.body + 1 : tfhd.body + 4], "big")
    at = tfhd.body + 8 + 8 * bool(flags & 1) + 4 * bool(flags & 2)
    duration = size = 0
    if flags & 8:
        (duration,) = struct.unpack_from(">I", moof, at)
        at += 4
    if flags & 16:
        (size,) = struct.unpack_from(">I", moof, at)
    return duration, size


def codec(init: bytes) -> str:
    """The RFC 6381 name of the only track's picture: H.264 from its avcC, AV1 from its av1C."""
    stsd = need(init, b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
    entry = next(boxes(init, stsd.body + 8, stsd.end))
    visual_sample_entry = 78
    for box in boxes(init, entry.body + visual_sample_entry, entry.end):
        if box.kind == b"avcC":
            return f"avc1.{init[box.body + 1 : box.body + 4].hex()}"
        if box.kind == b"av1C":
            return _av1(init[box.body + 1], init[box.body + 2])
    raise ValueError("no avcC or av1C box")


def _av1(levels: int, depths: int) -> str:
    """Profile, level, tier and depth, as the AV1 codec ISO media file format binding says (section 5)."""
    bits = (12 if depths & 0x20 else 10) if depths & 0x40 else 8
    return f"av01.{levels >> 5}.{levels & 0x1F:02d}{'H' if depths & 0x80 else 'M'}.{bits:02d}"


def with_edit_list(init: bytes, media_time: int) -> bytes:
    """`init` whose only track is shown from `media_time` on: what B-frames push back is taken back (8.6.6)."""
    if media_time == 0:
        return init
    trak, tkhd = need(init, b"moov", b"trak"), need(init, b"moov", b"trak", b"tkhd")
    elst = struct.pack(">I4sIIIiHH", 28, b"elst", 0, 1, 0, media_time, 1, 0)
    edts = struct.pack(">I4s", 8 + len(elst), b"edts") + elst
    made = bytearray(init[: tkhd.end] + edts + init[tkhd.end :])
    for box in (need(init, b"moov"), trak):
        struct.pack_into(">I", made, box.start, box.end - box.start + len(edts))
    return bytes(made)


def moved(moof: bytes, *, sequence: int, decode_time: int) -> bytes:
    """`moof` as fragment number `sequence`, starting at `decode_time`; its size does not change."""
    made = bytearray(moof)
    struct.pack_into(">I", made, need(moof, b"moof", b"mfhd").body + 4, sequence)
    tfdt = need(moof, b"moof", b"traf", b"tfdt")
    struct.pack_into(">Q" if moof[tfdt.body] == 1 else ">I", made, tfdt.body + 4, decode_time)
    return bytes(made)


def fragment(samples: Sequence[bytes], *, sequence: int, decode_time: int, duration: int) -> bytes:
    """moof + mdat of samples that all stand alone and last `duration` ticks each."""
    tfhd = _full(b"tfhd", _TFHD_FLAGS, struct.pack(">III", 1, duration, _SYNC_SAMPLE))
    tfdt = _full(b"tfdt", 1 << 24, struct.pack(">Q", decode_time))
    mfhd = _full(b"mfhd", 0, struct.pack(">I", sequence))
    sizes = struct.pack(f">{len(samples)}I", *map(len, samples))
    trun_size = 20 + len(sizes)
    moof_size = 8 + len(mfhd) + 8 + len(tfhd) + len(tfdt) + trun_size
    trun = _full(b"trun", _TRUN_FLAGS, struct.pack(">II", len(samples), moof_size + 8) + sizes)
    return _box(b"moof", mfhd + _box(b"traf", tfhd + tfdt + trun)) + _box(b"mdat", b"".join(samples))


def _box(kind: bytes, payload: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(payload), kind) + payload


def _full(kind: bytes, version_and_flags: int, payload: bytes) -> bytes:
    return _box(kind, struct.pack(">I", version_and_flags) + payload)
