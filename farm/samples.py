"""Where the samples of an MP4 lie that decoding some seconds of its picture takes, by its index alone.

It is libav that reads the index, as it does for ffmpeg later, in a process of its own: the file is hostile.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av
import msgspec

from farm import run

#: Seconds of the file's clock: from, to.
Span = tuple[float, float]
#: Bytes of the file: from, up to.
Range = tuple[int, int]
#: What libav may read to learn what a stream is like is less than this from the first sample of each on.
HEAD_BYTES = 8 << 20
#: Seconds before and after a span, which is in time of showing where the index is in time of decoding: both widen it
#: to whole groups of pictures.
BEFORE_S, AFTER_S = 2, 3
#: Bytes between two ranges that are fetched with them.
GAP_BYTES = 1 << 20
LIMITS = run.Limits(deadline_s=300, stall_s=300, memory_bytes=4 << 30, file_bytes=64 << 20)
_BOOT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from farm.samples import main; main()"
_ROOT = str(Path(__file__).resolve().parents[1])


class Wanted(msgspec.Struct, frozen=True):
    """Of which file and stream, and what: the answer is written to `result`. `head_bytes`: of each stream's start."""

    path: str
    result: str
    stream: int
    spans: tuple[Span, ...]
    head_bytes: int


def command(wanted: Wanted) -> list[str]:
    """The process that writes the ranges, in order; none where the index does not tell."""
    return [sys.executable, "-c", _BOOT, _ROOT, msgspec.json.encode(wanted).decode()]


def ranges(wanted: Wanted) -> list[Range]:
    """The bytes that decoding spans of a stream takes, beside the index; none where the index does not tell. Blocks.

    Raises av.FFmpegError.
    """
    known: dict[str, Any] = {"container_options": {"protocol_whitelist": "file", "analyzeduration": "1"}}
    with av.open(f"file:{wanted.path}", format="mov", metadata_errors="replace", **known) as container:
        shown = container.streams[wanted.stream]
        entries, tick = shown.index_entries, shown.time_base
        if tick is None or not len(entries) or len(entries) != shown.frames:
            return []
        found = [one for each in container.streams for one in _head(each.index_entries, wanted.head_bytes)]
        shift = (shown.start_time or 0) - min(entry.timestamp for entry in entries)
        times = [float((entry.timestamp + shift) * tick) for entry in entries]
        keys = [number for number, entry in enumerate(entries) if entry.is_keyframe]
        for first, after in (_group(times, keys, span) for span in wanted.spans):
            found += [(entry.pos, entry.pos + entry.size) for entry in entries[first:after]]
    return list(merged(sorted(found)))


def _head(entries: Any, head_bytes: int) -> Iterator[Range]:
    """The first samples of a stream."""
    for entry in entries:
        yield entry.pos, entry.pos + entry.size
        head_bytes -= entry.size
        if head_bytes <= 0:
            return


def _group(times: Sequence[float], keys: Sequence[int], span: Span) -> tuple[int, int]:
    """The first sample of a span with what comes before it, and the one behind its last."""
    at = [times[number] for number in keys]
    before, behind = bisect_right(at, span[0] - BEFORE_S) - 1, bisect_right(at, span[1] + AFTER_S)
    return keys[before] if before >= 0 else 0, keys[behind] if behind < len(keys) else len(times)


def merged(found: Sequence[Range]) -> Iterator[Range]:
    """Sorted ranges, those close to each other as one."""
    if not found:
        return
    start, end = found[0]
    for first, after in found[1:]:
        if first > end + GAP_BYTES:
            yield start, end
            start, end = first, after
        end = max(end, after)
    yield start, end


def main() -> None:
    """The process."""
    wanted = msgspec.json.decode(sys.argv[1], type=Wanted)
    try:
        found = ranges(wanted)
    except (av.FFmpegError, IndexError, ValueError):
        found = []
    Path(wanted.result).write_bytes(msgspec.json.encode(found))
