"""Which container a file is, from its first bytes: an allow-list, so that nothing else is ever opened."""

from __future__ import annotations

#: Bytes that decide.
SNIFF_BYTES = 4096

_TS_PACKETS = ((0, 188), (4, 192))
_TEXT = frozenset(range(32, 127)) | {9, 10, 13}
_LISTS = ((b"#EXTM3U", "an HLS playlist"), (b"ffconcat", "a concat script"), (b"[playlist]", "a playlist"))
_MAGIC = (
    (b"\x1a\x45\xdf\xa3", "matroska"),
    (b"fLaC", "flac"),
    (b"OggS", "ogg"),
    (b"ID3", "mp3"),
)
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"<", "a web page or XML"),
)


def demuxer(head: bytes) -> str | None:
    """ffmpeg's demuxer for a file that begins with `head`; None for everything not allowed."""
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot"):
        return "mov"
    if head[:4] in (b"RIFF", b"RF64"):
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if any(head[first::step][:3] == b"GGG" for first, step in _TS_PACKETS):
        return "mpegts"
    return _frame_sync(head)


def _frame_sync(head: bytes) -> str | None:
    """Bare AAC (ADTS) or MP3 frames: eleven set bits, then a sane header."""
    if len(head) < 4 or head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    layer, rate, bits = head[1] >> 1 & 3, head[2] >> 2 & 3, head[2] >> 4
    if layer == 0 and head[1] & 0xF0 == 0xF0:
        return "aac" if head[2] >> 2 & 15 < 13 else None
    return "mp3" if layer == 1 and rate != 3 and bits not in (0, 15) else None


def what_else(head: bytes) -> str:
    """Words for a file that is not allowed, as in "This is …, not a video or sound."."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, words in (*_LISTS, *_OTHERS):
        if start.startswith(magic):
            return words
    if start and all(byte in _TEXT for byte in start[:256]):
        return "a text file"
    return "a kind of file Usher does not know"
