"""Cutting at box borders, on files written by hand."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from farm import boxes, package
from farm.grid import grid
from farm.plan import ChunkPlan
from shared.errors import EncodeFailed
from tests.support.farm import edit_start

GRID = grid(Fraction(25))


def box(kind: bytes, *payload: bytes) -> bytes:
    body = b"".join(payload)
    return struct.pack(">I4s", 8 + len(body), kind) + body


def header(timescale: int) -> bytes:
    """ftyp + moov of one track of this timescale, with an avc1 entry."""
    avc1 = box(b"avc1", bytes(78), box(b"avcC", b"\x01\x64\x00\x1f\xff"))
    stbl = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), avc1))
    mdhd = box(b"mdhd", struct.pack(">IIIII", 0, 0, 0, timescale, 0))
    trak = box(b"trak", box(b"tkhd", bytes(84)), box(b"mdia", mdhd, box(b"minf", stbl)))
    return box(b"ftyp", b"iso5") + box(b"moov", box(b"mvhd", bytes(100)), trak)


def gop(frames: int, decode_time: int, *, first_offset: int = 1024) -> bytes:
    """A fragment as the mp4 muxer writes it: sizes and composition offsets of each frame, 512 ticks apart."""
    tfhd = box(b"tfhd", struct.pack(">III", 0x020008, 1, 512))
    tfdt = box(b"tfdt", struct.pack(">IQ", 1 << 24, decode_time))
    entries = b"".join(struct.pack(">Ii", 10, first_offset if not n else 512) for n in range(frames))
    trun = box(b"trun", struct.pack(">III", 1 << 24 | 0xA01, frames, 0), entries)
    return box(b"moof", box(b"mfhd", struct.pack(">II", 0, 1)), box(b"traf", tfhd, tfdt, trun)) + box(
        b"mdat", bytes(10 * frames)
    )


def file(tmp_path: Path, *parts: bytes) -> Path:
    path = tmp_path / "x.mp4"
    path.write_bytes(b"".join(parts))
    return path


def test_a_chunk_is_cut_into_init_and_segments(tmp_path: Path) -> None:
    path = file(tmp_path, header(12800), gop(100, 0), gop(100, 51200), gop(7, 102400), box(b"mfra"))

    init, *segments = package.video(path, GRID, ChunkPlan("0", 0, 207))

    assert (init.name, [one.name for one in segments]) == ("init.mp4", ["0/0.m4s", "0/1.m4s", "0/2.m4s"])
    assert [(one.samples, one.ticks) for one in segments] == [(100, 51200), (100, 51200), (7, 3584)]
    assert [boxes.run(one.data).decode_time for one in segments] == [0, 51200, 102400]
    assert b"".join(one.data[-10:] for one in segments) == bytes(30)


def test_the_edit_list_takes_back_what_b_frames_push(tmp_path: Path) -> None:
    init, _ = package.video(file(tmp_path, header(12800), gop(4, 0)), GRID, ChunkPlan("0", 0, 4))

    assert edit_start(init.data) == 1024
    assert [found.kind for found in boxes.boxes(init.data)] == [b"ftyp", b"moov"]
    assert boxes.timescale(init.data) == 12800
    assert boxes.codec(init.data) == "avc1.64001f"


def test_av1_is_named_by_its_configuration() -> None:
    for configuration, name in ((b"\x81\x04\x0c\0", "av01.0.04M.08"), (b"\x81\x2d\xcc\0", "av01.1.13H.10")):
        av01 = box(b"av01", bytes(78), box(b"av1C", configuration))
        stbl = box(b"stbl", box(b"stsd", struct.pack(">II", 0, 1), av01))
        init = box(b"moov", box(b"trak", box(b"mdia", box(b"minf", stbl))))

        assert boxes.codec(init) == name


def test_no_edit_list_is_written_where_nothing_is_pushed(tmp_path: Path) -> None:
    path = file(tmp_path, header(12800), gop(4, 0, first_offset=0))

    assert next(iter(package.video(path, GRID, ChunkPlan("0", 0, 4)))).data == header(12800)


def test_a_later_chunk_is_moved_to_its_place(tmp_path: Path) -> None:
    path = file(tmp_path, header(12800), gop(100, 5), gop(50, 51205))

    _, *segments = package.video(path, GRID, ChunkPlan("1", 200, 150))

    assert [one.name for one in segments] == ["0/2.m4s", "0/3.m4s"]
    assert [boxes.run(one.data).decode_time for one in segments] == [102400, 153600]
    assert [one.data[20:24] for one in segments] == [b"\0\0\0\x03", b"\0\0\0\x04"]


@pytest.mark.parametrize(
    ("fragments", "words"),
    [
        ((gop(99, 0), gop(100, 51200)), "off the grid"),
        ((gop(100, 0),), "100 of 200 frames are missing"),
        ((gop(100, 0), gop(100, 51200), gop(1, 102400)), "off the grid"),
        ((gop(100, 0), gop(100, 51200)[:-5]), "broken off"),
    ],
)
def test_frames_off_the_grid_or_missing_are_refused(tmp_path: Path, fragments: tuple[bytes, ...], words: str) -> None:
    path = file(tmp_path, header(12800), *fragments)

    with pytest.raises((EncodeFailed, ValueError), match=words):
        list(package.video(path, GRID, ChunkPlan("0", 0, 200)))


def test_a_file_without_a_header_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed, match="no movie header"):
        list(package.video(file(tmp_path, b""), GRID, ChunkPlan("0", 0, 1)))


def test_sound_is_cut_near_the_borders_of_the_picture(tmp_path: Path) -> None:
    frames = [bytes([number % 251]) * 9 for number in range(470)]
    halves = [boxes.fragment(part, sequence=1, decode_time=0, duration=1024) for part in (frames[:300], frames[300:])]

    _, *segments = package.sound(file(tmp_path, header(48000), *halves), 480_000, Fraction(4))

    assert [one.samples for one in segments] == [188, 187, 94]
    assert [boxes.run(one.data).decode_time for one in segments] == [0, 188 * 1024, 375 * 1024]
    kept = b"".join(one.data[boxes.need(one.data, b"mdat").body :] for one in segments)
    assert kept == b"".join(frames[:469])


def test_sound_that_ends_early_is_refused(tmp_path: Path) -> None:
    part = boxes.fragment([b"x"] * 100, sequence=1, decode_time=0, duration=1024)

    with pytest.raises(EncodeFailed, match="88 frames early"):
        list(package.sound(file(tmp_path, header(48000), part), 480_000, Fraction(4)))


@pytest.mark.parametrize("data", [b"\0\0\0\x04moof", b"\0\0\0\x64moof", b"\0\0\0", b"\0\0\0\x01moof" + bytes(8)])
def test_boxes_that_lie_about_their_size_are_refused(data: bytes) -> None:
    with pytest.raises((ValueError, struct.error)):
        list(boxes.boxes(data))
