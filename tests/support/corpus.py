"""Files that are not what they should be: cut, flipped, lying about themselves, or pointing elsewhere."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from farm import boxes
from shared import jobs
from tests.support import media
from tests.support.farm import MASTER, Farm

#: Bits flipped in one file.
FLIPS = 20


def small(container: str) -> Path:
    """Two seconds of picture and sound, small enough to be flipped and cut often."""
    options = ("-c:a", "aac", "-g", "25")
    return media.master(
        f"corpus.{container}", *media.picture("160x90", seconds=2), *media.tone(2), *media.H264, *options
    )


def cut(container: str, share: float) -> Path:
    """The first `share` of a file."""
    source = small(container)
    return media.derived(f"cut-{share:.3f}.{container}", lambda data: data[: int(len(data) * share)], source)


def flipped(container: str, seed: int) -> Path:
    """A file with bits flipped here and there, half of them in its index or header."""
    return media.derived(f"flip-{seed}.{container}", lambda data: _flipped(data, random.Random(seed)), small(container))


def _flipped(data: bytes, dice: random.Random) -> bytes:
    changed = bytearray(data)
    index = data.find(b"moov")
    for turn in range(FLIPS):
        first, after = (index, len(data)) if turn % 2 and index > 0 else (0, len(data))
        changed[dice.randrange(first, after)] ^= 1 << dice.randrange(8)
    return bytes(changed)


def patched(name: str, change: Callable[[bytearray], None], source: Path | None = None) -> Path:
    """A file changed in place."""

    def done(data: bytes) -> bytes:
        changed = bytearray(data)
        change(changed)
        return bytes(changed)

    return media.derived(name, done, source or small("mp4"))


def no_pace() -> Path:
    """A picture whose frames all come at the same moment: 0 a second."""

    def still(data: bytearray) -> None:
        at = data.index(b"stts")
        (count,) = struct.unpack_from(">I", data, at + 8)
        for entry in range(count):
            struct.pack_into(">I", data, at + 16 + 8 * entry, 0)
        cancelled = data.find(b"ctts")
        data[cancelled : cancelled + 4] = b"free"

    return patched("no-pace.mp4", still)


def thousand_a_second() -> Path:
    """A picture of 1000 frames a second."""
    return media.master("thousand.mp4", *media.picture("160x90", rate="1000", seconds=0.2), *media.H264)


def lasting(seconds: int) -> Path:
    """A file of two seconds whose headers (mvhd, tkhd, mdhd) say it lasts this long."""

    def longer(data: bytearray) -> None:
        for kind, at in ((b"mvhd", 20), (b"tkhd", 24), (b"mdhd", 20)):
            place = -1
            while (place := data.find(kind, place + 1)) > 0:
                scale = 1000
                if kind != b"tkhd":
                    (scale,) = struct.unpack_from(">I", data, place + 16)
                struct.pack_into(">I", data, place + at, min(seconds * scale, 2**32 - 1))

    return patched(f"lasting-{seconds}.mp4", longer)


def without_pictures() -> Path:
    """A stream of pictures that is announced, and cut before its first fragment."""
    options = (*media.H264, "-movflags", "+frag_keyframe+empty_moov+default_base_moof")
    whole = media.master("in-fragments.mp4", *media.picture("160x90", seconds=1), *options)
    return media.derived("no-pictures.mp4", lambda data: data[: data.index(b"moof") - 4], whole)


def without_sound() -> Path:
    """A WAV of a header alone."""
    whole = media.master("tone.wav", *media.tone(0.1))
    return media.derived("no-sound.wav", lambda data: _emptied(data, data.index(b"data")), whole)


def _emptied(data: bytes, at: int) -> bytes:
    return data[:4] + struct.pack("<I", at) + data[8:at] + struct.pack("<4sI", b"data", 0)


def beyond_its_end() -> Path:
    """An index that names samples a gigabyte behind the file's end."""

    def moved(data: bytearray) -> None:
        at = data.index(b"stco")
        (count,) = struct.unpack_from(">I", data, at + 8)
        (offset,) = struct.unpack_from(">I", data, at + 8 + 4 * count)
        struct.pack_into(">I", data, at + 8 + 4 * count, offset + (1 << 30))

    return patched("beyond.mp4", moved)


def elsewhere() -> Path:
    """A track whose samples lie in another file."""

    def pointing(data: bytearray) -> None:
        data[data.index(b"url \0\0\0\1") + 7] = 0

    return patched("elsewhere.mp4", pointing)


def many_tracks(count: int) -> Path:
    """An MP4 of so many tracks."""

    def multiplied(data: bytes) -> bytes:
        moov = boxes.need(data, b"moov")
        trak = boxes.need(data, b"moov", b"trak")
        number = boxes.need(data, b"moov", b"trak", b"tkhd").body + 12 - trak.start
        one = data[trak.start : trak.end]
        copies = [one[:number] + struct.pack(">I", 10 + copy) + one[number + 4 :] for copy in range(count)]
        body = data[moov.body : moov.end] + b"".join(copies)
        return data[: moov.start] + struct.pack(">I4s", 8 + len(body), b"moov") + body

    return media.derived(f"tracks-{count}.mp4", multiplied, small("mp4"))


def _element(name: str, *bodies: bytes) -> bytes:
    """An element of Matroska by its id in hex."""
    body = b"".join(bodies)
    return bytes.fromhex(name) + struct.pack(">Q", len(body) | 1 << 56) + body


def _matroska(*parts: bytes) -> bytes:
    return _element("1a45dfa3", _element("4282", b"matroska")) + _element("18538067", *parts)


def many_streams(count: int) -> Path:
    """A Matroska file that announces so many sounds."""

    def entry(number: int) -> bytes:
        named = _element("d7", number.to_bytes(2, "big")) + _element("73c5", number.to_bytes(2, "big"))
        return _element("ae", named, _element("83", b"\2"), _element("86", b"A_PCM/INT/LIT"))

    tracks = _element("1654ae6b", *map(entry, range(1, count + 1)))
    return media.written(f"streams-{count}.mkv", _matroska(tracks))


def zip_bomb() -> Path:
    """A Matroska file whose sound and subtitles are some hundred KiB that unpack to a quarter of a GiB (zlib)."""
    packed = zlib.compress(bytes(1 << 27), 9)
    zipped = _element("6d80", _element("6240", _element("5033", b"\0"), _element("5034", _element("4254", b"\0"))))
    audio = _element("e1", _element("b5", struct.pack(">f", 48000)), _element("9f", b"\1"), _element("6264", b"\x10"))
    kinds = ((1, b"\2", b"A_PCM/INT/LIT", audio), (2, b"\x11", b"S_TEXT/UTF8", b""))
    tracks = (
        _element("ae", _element("d7", bytes([number])), _element("73c5", bytes([number])), _element("83", kind),
                 _element("86", codec), more, zipped)
        for number, kind, codec, more in kinds
    )  # fmt: skip
    blocks = (_element("a3", bytes([0x80 | number, 0, 0, 0x80]), packed) for number, *_ in kinds)
    cluster = _element("1f43b675", _element("e7", b"\0"), *blocks)
    return media.written("zip-bomb.mkv", _matroska(_element("1654ae6b", *tracks), cluster))


def hollow() -> Path:
    """A film of ten seconds whose index promises all frames, while the last half of its bytes is nothing."""
    source = media.master("whole.mp4", *media.picture("160x90", seconds=10), *media.H264, "-movflags", "+faststart")

    def emptied(data: bytearray) -> None:
        at = data.index(b"mdat")
        half = at + (len(data) - at) // 2
        data[half:] = bytes(len(data) - half)

    return patched("hollow.mp4", emptied, source)


def vast() -> Path:
    """A picture that says it is 16384x16384."""
    source = media.master("raw.mkv", *media.picture("320x256", seconds=0.1), "-c:v", "rawvideo", "-pix_fmt", "yuv420p")

    def larger(data: bytearray) -> None:
        for size in (b"\xb0\x82\x01\x40", b"\xba\x82\x01\x00"):
            at = data.index(size)
            data[at + 2 : at + 4] = b"\x40\x00"

    return patched("vast.mkv", larger, source)


def with_attachment(*, alone: bool) -> Path:
    """A Matroska file that carries another file; `alone`: nothing else but words."""
    font = media.written("font.ttf", bytes(range(256)) * 64)
    words = media.written("words.srt", b"1\n00:00:00,000 --> 00:00:02,000\nHi\n")
    inputs = ("-i", str(words)) if alone else ("-i", str(small("mp4")), "-c", "copy")
    attached = ("-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font")
    return media.master(f"attached-{alone}.mkv", *inputs, *attached)


#: What each trick begins with, by its name.
TRICKS = {
    "HLS": b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nfile:///etc/passwd\n#EXTINF:4,\nhttp://127.0.0.1:1/a.ts\n",
    "HLS behind a mark": b"\xef\xbb\xbf\r\n#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n",
    "HLS behind a tag": b"ID3\x04\0\0\0\0\0\x0a" + b"\0" * 10 + b"#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n" * 40,
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "concat in words": b"file '/etc/passwd'\nfile 'http://127.0.0.1:1/a.mp4'\n",
    "an address": b"http://127.0.0.1:1/film.mp4\n",
    "a file's address": b"file:///etc/passwd\n",
    "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nm=video 5004 RTP/AVP 96\n",
    "DASH": b"<?xml version='1.0'?><MPD><BaseURL>file:///etc/</BaseURL></MPD>",
    "HLS behind sync bytes": (b"G" + b"#EXTM3U\nfile:///etc/passwd\n".ljust(187)) * 30,
    "HLS in a box": struct.pack(">I4s", 16, b"ftypisom")[:8] + b"isom\0\0\0\0#EXTM3U\nfile:///etc/passwd\n" * 40,
}


def trick(name: str) -> Path:
    """A file that would lead a careless reader elsewhere."""
    return media.written(f"trick-{'-'.join(name.split())}.mp4", TRICKS[name])


async def through(farm: Farm, master: Path) -> str:
    """A master through the farm, as far as it goes: "ready"; "refused" or "failed" in words, and nothing is ready."""
    farm.on.masters.drop(MASTER)
    outcome: str = await farm.probe(master)
    if outcome == "done":
        outcome = await _made(farm)
    if outcome != "ready":
        last = (await farm.messages())[-1]
        assert isinstance(last, jobs.Failed) and last.words, last
    return outcome


async def _made(farm: Farm) -> str:
    plan = await farm.plan()
    for chunk in plan.chunks:
        if (outcome := await farm.chunk(plan, chunk)) != "done":
            break
    else:
        outcome = await farm.finalise(plan)
    ready = [key for key in await farm.keys(f"v/{plan.title}/{plan.version}/") if key.endswith("ready.json")]
    assert bool(ready) == (outcome == "done")
    return "ready" if ready else outcome
