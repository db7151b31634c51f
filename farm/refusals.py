"""Refusing a master: the limits, and the words for the person who uploaded it."""

from __future__ import annotations

from fractions import Fraction
from typing import NoReturn

from shared.errors import MasterRejected

MAX_STREAMS = 64
MIN_SIDE, MAX_SIDE = 16, 8192
#: Pictures a second.
MAX_RATE = 500
MAX_HOURS = 24
#: A gap in a transport stream's times that no player would bridge.
MAX_JUMP_S = 10
#: What a container may promise beyond what is there.
SLACK_S, SLACK = 1.0, 0.01
#: Containers whose header says a length that a cut file no longer has.
PROMISING = frozenset({"matroska", "avi", "flac", "wav"})


def reject(code: str, words: str) -> NoReturn:
    """Raises MasterRejected."""
    raise MasterRejected(words, code=code)


def streams(count: int) -> None:
    """Refuse a file of too many streams."""
    if count > MAX_STREAMS:
        reject("too-many-streams", f"The file holds {count} streams; at most {MAX_STREAMS} are read.")


def more_streams() -> NoReturn:
    """Raises MasterRejected for a file of more streams than anybody counted."""
    reject("too-many-streams", f"The file holds more than {MAX_STREAMS} streams; at most {MAX_STREAMS} are read.")


def no_media(*, sound_only: bool = False) -> NoReturn:
    """Raises MasterRejected for a file with nothing to see or, for `sound_only`, to hear."""
    reject("no-sound" if sound_only else "no-media", "There is no picture and no sound in this file.")


def size(width: int, height: int) -> None:
    """Refuse a picture no encoder takes; sides of 0 are of one that not even a decoder does."""
    if not width or not height:
        reject("absurd", f"The picture has an absurd size; each side must be {MIN_SIDE} to {MAX_SIDE} pixels.")
    if min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE:
        reject("absurd", f"The picture is {width}x{height}; each side must be {MIN_SIDE} to {MAX_SIDE} pixels.")


def frames(count: int) -> None:
    """Refuse a stream of more frames than the longest title at the highest rate has."""
    if count > MAX_HOURS * 3600 * MAX_RATE:
        reject("absurd", "The file holds more frames than a day of video.")


def rate(found: Fraction) -> None:
    """Refuse a pace no camera has."""
    if found > MAX_RATE:
        reject("absurd", f"The picture has {float(found):.0f} frames a second; at most {MAX_RATE} are taken.")


def jump(seconds: Fraction) -> None:
    """Refuse times that leap within a stream."""
    if abs(seconds) > MAX_JUMP_S:
        reject("broken-times", f"Its times jump by {float(seconds):.0f} s in the middle; export it again.")


def length(seconds: float, *, said: float, demuxer: str) -> None:
    """Refuse a file that lasts no time, too long, or less than the `said` of its header."""
    if seconds <= 0:
        reject("no-duration", "Nothing in this file lasts any time.")
    if seconds > MAX_HOURS * 3600:
        reject("absurd", f"The file says it lasts {seconds / 3600:.0f} hours; at most {MAX_HOURS} are taken.")
    if demuxer in PROMISING and said - seconds > max(SLACK_S, SLACK * said):
        cut_off(f"it says {said:.0f} s, {seconds:.0f} s are there")


def cut_off(why: str) -> NoReturn:
    """Raises MasterRejected for a file whose end is missing."""
    reject("truncated", f"The file is cut off: {why}. Copy or export it again.")


def memory() -> NoReturn:
    """Raises MasterRejected for a file that takes more memory to look at than a look may have."""
    reject("absurd", "Looking at the file takes more memory than any video needs; it is broken. Export it again.")
