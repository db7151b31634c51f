"""Progress of each rendition grows with its finished segments."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from farm.progress import Growing, fractions
from farm.report import ProgressFeed, connect
from shared.jobs import ChunkTicket


def box(kind: bytes, size: int) -> bytes:
    return struct.pack(">I4s", size, kind) + bytes(size - 8)


def test_only_complete_fragments_count(tmp_path: Path) -> None:
    path = tmp_path / "x.mp4"
    file = Growing(path)
    assert file.look() == 0

    path.write_bytes(box(b"moov", 40) + box(b"moof", 20) + box(b"mdat", 30) + box(b"moof", 20) + box(b"mdat", 30)[:-1])
    assert file.look() == 1

    path.write_bytes(path.read_bytes() + b"\0")
    assert file.look() == 2


def test_the_frame_count_refines_the_segment_in_work(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(box(b"moof", 20) + box(b"mdat", 30))
    files = {"a": Growing(tmp_path / "a"), "b": Growing(tmp_path / "b")}

    assert fractions(files, segments=4, frames=400, frame=150) == {"a": 0.375, "b": 0.25}
    assert fractions(files, segments=4, frames=400, frame=400) == {"a": 0.5, "b": 0.25}


@given(st.lists(st.floats(0, 2)))
async def test_a_feed_never_goes_back_or_over_one(updates: list[float]) -> None:
    feed = ProgressFeed(connect("redis://127.0.0.1:1"), ChunkTicket("job", "title", "v1", "0"), ("720",))
    seen = []
    for fraction in updates:
        feed.update({"720": fraction}, 1.0)
        seen.append(feed.fractions["720"])

    assert seen == sorted(seen)
    assert all(0 <= fraction <= 1 for fraction in seen)
