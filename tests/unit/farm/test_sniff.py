"""Only containers on the list are known by their first bytes."""

from __future__ import annotations

import pytest

from farm.sniff import demuxer, what_else


@pytest.mark.parametrize(
    ("head", "name"),
    [
        (b"\0\0\0\x18ftypisom", "mov"),
        (b"\0\0\0\x08wide\0\0", "mov"),
        (b"\x1a\x45\xdf\xa3\0\0", "matroska"),
        (b"RIFF\0\0\0\0AVI LIST", "avi"),
        (b"RIFF\0\0\0\0WAVEfmt ", "wav"),
        (b"RF64\0\0\0\0WAVEds64", "wav"),
        (b"fLaC\0", "flac"),
        (b"OggS\0", "ogg"),
        (b"ID3\x04", "mp3"),
        (b"\xff\xfb\x90\x64", "mp3"),
        (b"\xff\xf1\x50\x80", "aac"),
        (b"G" + bytes(187) + b"G" + bytes(187) + b"G", "mpegts"),
        (bytes(4) + b"G" + bytes(191) + b"G" + bytes(191) + b"G", "mpegts"),
    ],
)
def test_a_container_on_the_list_is_known(head: bytes, name: str) -> None:
    assert demuxer(head) == name


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#EXTM3U\n#EXTINF:4,\nhttp://x/", "an HLS playlist"),
        (b"\xef\xbb\xbf#EXTM3U", "an HLS playlist"),
        (b"ffconcat version 1.0\nfile /etc/passwd", "a concat script"),
        (b"[playlist]\nFile1=x", "a playlist"),
        (b"file '/etc/passwd'\n", "a text file"),
        (b"<?xml version='1.0'?><MPD>", "a web page or XML"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\x89PNG\r\n", "a picture"),
        (b"RIFF\0\0\0\0WEBP", "a kind of file Usher does not know"),
        (b"\xff\xff\xff\xff", "a kind of file Usher does not know"),
        (b"\0", "a kind of file Usher does not know"),
        (b"GGG", "a text file"),
    ],
)
def test_everything_else_is_refused_with_a_name(head: bytes, words: str) -> None:
    assert demuxer(head) is None
    assert what_else(head) == words
