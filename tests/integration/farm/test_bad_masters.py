"""Bad input: refused with words a person understands, and nothing of it is ever published."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from farm.probe import probe
from farm.refusals import MAX_STREAMS
from shared import jobs
from shared.errors import MasterRejected
from tests.support import media
from tests.support.farm import JOB, Farm


def cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def faststart() -> Path:
    return media.master("faststart.mp4", "-i", str(media.plain()), "-c", "copy", "-movflags", "+faststart")


def as_mkv() -> Path:
    return media.master("plain.mkv", "-i", str(media.plain()), "-c", "copy")


def huge_box(data: bytes) -> bytes:
    """An mdat that says it holds an exabyte."""
    at = data.index(b"mdat") - 4
    return data[:at] + struct.pack(">I4sQ", 1, b"mdat", 1 << 60) + data[at + 8 :]


BAD: dict[str, tuple[Callable[[], Path], str, str]] = {
    "empty": (lambda: media.written("empty.mp4", b""), "empty", "0 bytes"),
    "text": (lambda: media.written("text.mp4", b"This is my film.\n" * 50), "not-media", "a text file"),
    "playlist": (
        lambda: media.written("list.mp4", b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n"),
        "not-media",
        "an HLS playlist",
    ),
    "concat": (
        lambda: media.written("concat.mp4", f"ffconcat version 1.0\nfile '{media.plain()}'\n".encode()),
        "not-media",
        "a concat script",
    ),
    "dash": (lambda: media.written("dash.mp4", b"<?xml version='1.0'?><MPD></MPD>"), "not-media", "a web page or XML"),
    "picture": (
        lambda: media.master("still.png", *media.picture(seconds=1), "-frames:v", "1"),
        "not-media",
        "a picture, not a video",
    ),
    "noise": (lambda: media.written("noise.mp4", bytes(range(256)) * 64), "not-media", "does not know"),
    "noise in a box": (
        lambda: media.written("box.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" + b"\0\0\1\0moov" + b"\xff" * 248),
        "no-media",
        "no picture and no sound",
    ),
    "cut before its index": (
        lambda: media.derived("cut.mp4", cut(0.5), media.plain()),
        "truncated",
        "cut off",
    ),
    "cut after its index": (
        lambda: media.derived("cut-fast.mp4", cut(0.5), faststart()),
        "truncated",
        "cut off",
    ),
    "cut Matroska": (lambda: media.derived("cut.mkv", cut(0.5), as_mkv()), "truncated", "cut off"),
    "no index": (
        lambda: media.derived("no-moov.mp4", lambda data: data[: data.index(b"moov") - 4], media.plain()),
        "truncated",
        "index",
    ),
    "huge box": (lambda: media.derived("huge-box.mp4", huge_box, media.plain()), "truncated", "cut off"),
    "huge size": (
        lambda: media.master("huge.mp4", *media.picture("9000x16", seconds=0.2), *media.H264),
        "absurd",
        "each side must be 16 to 8192",
    ),
    "too small": (
        lambda: media.master("small.mp4", *media.picture("8x8", seconds=1), *media.H264),
        "absurd",
        "8x8",
    ),
    "subtitles alone": (
        lambda: media.master("subs.mkv", "-i", str(media.written("s.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHi\n"))),
        "no-media",
        "no picture and no sound",
    ),
    "too many streams": (
        lambda: media.master("many.mkv", *media.tone(0.1), *(["-map", "0:a"] * (MAX_STREAMS + 1)), "-c:a", "pcm_s16le"),
        "too-many-streams",
        "65 streams",
    ),
}


@pytest.mark.parametrize(("make", "code", "words"), BAD.values(), ids=BAD)
async def test_a_bad_master_is_refused_in_words_and_leaves_nothing(
    farm: Farm, make: Callable[[], Path], code: str, words: str
) -> None:
    assert await farm.probe(make()) == "refused"

    started, failed = await farm.messages()
    assert isinstance(started, jobs.Started) and isinstance(failed, jobs.Failed)
    assert (failed.job, failed.chunk, failed.code, failed.final) == (JOB, "probe", code, True)
    assert words in failed.words
    assert await farm.keys("v/") == []
    assert await farm.keys("work/") == []
    assert list((farm.on.settings.scratch_dir / "masters").glob("*.tmp")) == []


def test_a_video_without_sound_is_no_audio_title() -> None:
    mute = media.master("mute-1.mp4", *media.picture(seconds=1), *media.H264)

    with pytest.raises(MasterRejected, match="no sound") as refused:
        probe(mute, sound_only=True)
    assert refused.value.code == "no-sound"


async def test_a_master_that_is_gone_ends_the_job_in_words(farm: Farm) -> None:
    assert await farm.perform(jobs.ProbeTicket(JOB, "t", "u", "masters/t/u", "")) == "refused"

    _, failed = await farm.messages()
    assert failed == jobs.Failed(
        JOB, "probe", "gone", "The uploaded file is no longer there; upload it again.", final=True
    )


async def test_a_master_with_another_checksum_is_not_taken(farm: Farm) -> None:
    await farm.bucket.put_file("masters/t/u", media.plain())

    assert await farm.perform(jobs.ProbeTicket(JOB, "t", "u", "masters/t/u", "0" * 64)) == "failed"
    _, told = await farm.messages()
    assert isinstance(told, jobs.Failed) and (told.code, told.final, told.lost) == ("checksum", False, False)
    assert await farm.keys("work/") == []
