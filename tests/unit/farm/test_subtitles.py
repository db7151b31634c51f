"""Subtitles in pieces of a minute: every cue in each piece it is shown in, nothing lost at a border."""

from __future__ import annotations

import pytest

from farm.subtitles import playlist, segments
from shared.subtitles import parse

TEXT = b"""WEBVTT

00:00:01.000 --> 00:00:02.000 line:10%
first

00:00:59.500 --> 00:01:00.500
over

00:01:00.000 --> 00:02:00.000
second

00:03:10.000 --> 00:03:11.000
after the end
"""
HEAD = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"


def test_a_cue_over_a_border_stands_in_both_pieces() -> None:
    pieces = [piece.decode() for piece in segments(TEXT, duration_s=150.5)]

    assert pieces == [
        f"{HEAD}\n00:00:01.000 --> 00:00:02.000 line:10%\nfirst\n\n00:00:59.500 --> 00:01:00.500\nover\n",
        f"{HEAD}\n00:00:59.500 --> 00:01:00.500\nover\n\n00:01:00.000 --> 00:02:00.000\nsecond\n",
        HEAD,
    ]


def test_every_piece_is_read_back_as_it_was_written() -> None:
    pieces = segments(TEXT, duration_s=240)

    read = {cue for piece in pieces if b"-->" in piece for cue in parse(piece)}
    assert tuple(sorted(read, key=lambda cue: cue.start_ms)) == parse(TEXT)


@pytest.mark.parametrize(
    ("duration_s", "lengths"), [(150.5, [60, 60, 30.5]), (120.0, [60, 60]), (0.04, [0.04]), (60.0, [60])]
)
def test_the_playlist_lasts_as_long_as_the_title(duration_s: float, lengths: list[float]) -> None:
    names = [f"{number}.vtt" for number in range(len(segments(TEXT, duration_s=duration_s)))]
    lines = playlist(names, duration_s).splitlines()

    assert [float(line[8:-1]) for line in lines if line.startswith("#EXTINF:")] == lengths
    assert [line for line in lines if not line.startswith("#")] == names
    assert (lines[0], lines[-1]) == ("#EXTM3U", "#EXT-X-ENDLIST")
    assert f"#EXT-X-TARGETDURATION:{max(1, round(max(lengths)))}" in lines
