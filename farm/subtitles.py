"""Subtitles as players fetch them: WebVTT in pieces of a minute (RFC 8216, 3.5), and their playlist. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from shared.subtitles import Cue, parse, timestamp

#: Seconds a piece lasts; the last may be shorter.
PIECE_S = 60
#: Zero of the cues is zero of the media's clock, for every piece.
_HEAD = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n"


def segments(text: bytes, *, duration_s: float) -> list[bytes]:
    """A file as uploaded, in pieces that cover a title of `duration_s`; a cue over a border stands in both pieces.

    Cues that begin after the title's end are left out.

    Raises what `shared.subtitles.parse` raises.
    """
    pieces: list[list[Cue]] = [[] for _ in _lengths(duration_s)]
    for cue in parse(text):
        if cue.start_ms >= duration_s * 1000:
            continue
        last = (cue.end_ms - 1) // (PIECE_S * 1000)
        for number in range(cue.start_ms // (PIECE_S * 1000), min(last + 1, len(pieces))):
            pieces[number].append(cue)
    return [(_HEAD + "".join(map(_written, cues))).encode() for cues in pieces]


def playlist(pieces: Sequence[str], duration_s: float) -> str:
    """The media playlist of `pieces`, named as they lie beside it."""
    lengths = _lengths(duration_s)
    lines = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        f"#EXT-X-TARGETDURATION:{max(1, round(max(lengths)))}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-PLAYLIST-TYPE:VOD",
    ]
    for length, name in zip(lengths, pieces, strict=True):
        lines += [f"#EXTINF:{length:.6f},", name]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""])


def _lengths(duration_s: float) -> list[float]:
    whole = int(duration_s // PIECE_S)
    rest = round(duration_s - whole * PIECE_S, 6)
    return [float(PIECE_S)] * whole + ([rest] if rest > 0 or not whole else [])


def _written(cue: Cue) -> str:
    head = f"{timestamp(cue.start_ms)} --> {timestamp(cue.end_ms)}"
    return f"\n{head} {cue.settings}".rstrip(" ") + f"\n{cue.text}\n"
