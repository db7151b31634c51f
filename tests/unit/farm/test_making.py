"""How long a piece of work may take, and how much room it may ask for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest

from farm import making
from farm.encoders.x264 import X264
from farm.engine import Engine
from farm.media import MediaInfo, Picture, Sound
from farm.plan import ChunkPlan, Plan, Recipe
from farm.planning import plan
from farm.report import ProgressFeed, connect
from shared.jobs import SOUND_CHUNK, ChunkTicket
from shared.settings import FarmSettings

SETTINGS = FarmSettings()


def planned() -> Plan:
    """An hour of picture and sound, its first chunk eight seconds and its second thirty."""
    info = MediaInfo(
        "mov",
        1000,
        0,
        Picture(0, "h264", 640, 360, 25, 1, True, 90_000, 0.0, 3600.0),
        Sound(1, "aac", 48000, 2, 0, 3600),
    )
    pieces = (ChunkPlan("0", 0, 200), ChunkPlan("1", 200, 750), ChunkPlan("2", 950, 89_050))
    return msgspec.structs.replace(plan(info, Recipe("t", "s", "x264", "b")), pieces=pieces)


def made(chunk: str, where: FarmSettings = SETTINGS) -> making.Making:
    feed = ProgressFeed(connect("redis://127.0.0.1:1"), ChunkTicket("j", "t", "v", chunk), ())
    return making.Making(planned(), chunk, Path("m"), Engine("f", "b", X264), where, feed, asyncio.Event())


@pytest.mark.parametrize(("chunk", "deadline_s"), [("0", 600), ("1", 1800), ("2", 6 * 3600), (SOUND_CHUNK, 6 * 3600)])
def test_the_deadline_follows_the_media_within_its_bounds(chunk: str, deadline_s: float) -> None:
    assert making.deadline_s(made(chunk)) == deadline_s


def test_no_deadline_is_above_the_setting() -> None:
    assert making.deadline_s(made("1", FarmSettings(chunk_deadline_s=100))) == 100


def test_room_is_asked_for_by_the_highest_rates_of_what_is_made() -> None:
    kbps = sum(rendition.maxrate_kbps for rendition in planned().picture.renditions)

    assert making.scratch_bytes(planned(), "1") == kbps * 125 * 30
    assert making.scratch_bytes(planned(), SOUND_CHUNK) == 128 * 125 * 3600


def test_memory_is_bounded_by_the_plan_where_it_names_any() -> None:
    bare = msgspec.structs.replace(planned(), memory_bytes=0)

    assert making.address_bytes(bare) == making.MEMORY_BYTES
    assert making.address_bytes(msgspec.structs.replace(bare, memory_bytes=1 << 30), threads=3) == 9 << 30
