"""The sessions of a machine's card: how many, who holds them, and what a refusal means."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import pytest

from farm import slots
from farm.encoders.failures import why_replan
from farm.media import MediaInfo, Picture
from farm.plan import Plan, Recipe
from farm.planning import plan
from shared.errors import CardBusy, EncodeFailed
from shared.settings import FarmSettings

FULL = ["[h264_nvenc @ 0x1] OpenEncodeSessionEx failed: out of memory (10)"]


def settings(folder: Path) -> FarmSettings:
    return FarmSettings(scratch_dir=folder, gpu_wait_s=0.1)


def planned(encoder: str = "nvenc") -> Plan:
    """Two renditions."""
    picture = Picture(0, "h264", 640, 360, 25, 1, True, 100, 0.0, 4.0)
    return plan(MediaInfo("mov", 1000, 0, picture), Recipe("t", "s", encoder, "b"))


async def test_as_many_sessions_as_there_are_are_held_and_no_more(tmp_path: Path) -> None:
    async with slots.take(tmp_path, 3, cap=5, wait_s=0) as first, slots.take(tmp_path, 3, cap=5, wait_s=0) as second:
        async with slots.take(tmp_path, 2, cap=5, wait_s=0) as third:
            assert (first, second, third, slots.used(tmp_path)) == (True, False, True, 5)
    assert slots.used(tmp_path) == 0


async def test_a_chunk_waits_for_sessions_that_come_free(tmp_path: Path) -> None:
    async def hold() -> None:
        async with slots.take(tmp_path, 4, cap=4, wait_s=0):
            await asyncio.sleep(0.2)

    holding = asyncio.create_task(hold())
    await asyncio.sleep(0.01)
    async with slots.take(tmp_path, 4, cap=4, wait_s=5) as got:
        assert got
    await holding


async def test_sessions_of_a_killed_worker_are_free(tmp_path: Path) -> None:
    program = (
        "import asyncio, pathlib, sys\nfrom farm import slots\n"
        "async def hold():\n"
        "    async with slots.take(pathlib.Path(sys.argv[1]), 4, cap=4, wait_s=0):\n"
        "        print('held', flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(hold())\n"
    )
    worker = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path)), stdout=asyncio.subprocess.PIPE
    )
    assert worker.stdout is not None and await worker.stdout.readline() == b"held\n"
    assert slots.used(tmp_path) == 4

    worker.kill()
    await worker.wait()

    async with slots.take(tmp_path, 4, cap=4, wait_s=0) as got:
        assert got


@pytest.mark.parametrize("cap", [0, 1, 2, 3, 5, 8, 12, 15, 16, 40])
async def test_the_cap_is_learnt_by_opening_sessions(tmp_path: Path, cap: int) -> None:
    tried = []

    async def opens(count: int) -> bool:
        tried.append(count)
        return count <= cap

    assert await slots.learnt(tmp_path, opens) == min(cap, slots.MOST)
    assert len(tried) <= 5


async def test_a_cap_is_not_learnt_anew_while_sessions_are_open(tmp_path: Path) -> None:
    async def three(count: int) -> bool:
        return count <= 3

    async def none(_: int) -> bool:
        return False

    assert await slots.learnt(tmp_path, three) == 3
    async with slots.take(tmp_path, 1, cap=3, wait_s=0):
        assert await slots.learnt(tmp_path, none) == 3
    assert await slots.learnt(tmp_path, none) == 0


async def test_a_refusal_lowers_the_cap_for_a_while(tmp_path: Path) -> None:
    async with slots.take(tmp_path, 3, cap=8, wait_s=0):
        assert slots.lower(tmp_path, 8, now=1000.0).cap == 2
    assert slots.cap_now(tmp_path, 8, now=1000.0 + slots.LOWERED_S - 1) == 2
    assert slots.cap_now(tmp_path, 8, now=1000.0 + slots.LOWERED_S) == 8


async def test_a_plan_for_the_cpu_needs_nothing(tmp_path: Path) -> None:
    async with slots.on_card(planned("x264"), settings(tmp_path), cap=0):
        assert not slots.folder_of(settings(tmp_path)).exists()


async def test_a_chunk_goes_back_when_no_session_comes_free(tmp_path: Path) -> None:
    async with slots.on_card(planned(), settings(tmp_path), cap=3):
        with pytest.raises(CardBusy):
            async with slots.on_card(planned(), settings(tmp_path), cap=3):
                raise AssertionError("four sessions of three were given")


async def test_a_card_that_never_gives_enough_is_no_place_for_the_plan(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed, match="needs 2 NVENC sessions, the card gives 1") as failed:
        async with slots.on_card(planned(), settings(tmp_path), cap=1):
            raise AssertionError("it was given")
    assert why_replan(failed.value)


async def test_a_machine_without_an_encoder_unit_counts_as_a_failed_try(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed, match="has no encoder unit") as failed:
        async with slots.on_card(planned(), settings(tmp_path), cap=0):
            raise AssertionError("it was given")
    assert why_replan(failed.value) is None


async def test_a_full_card_sends_the_chunk_back_and_at_last_the_title_elsewhere(tmp_path: Path) -> None:
    on = msgspec.structs.replace(settings(tmp_path), gpu_wait_s=0.0)

    async def refused() -> None:
        async with slots.on_card(planned(), on, cap=8):
            raise EncodeFailed("ffmpeg gave up", lines=FULL)

    def later() -> None:
        path = slots.folder_of(on) / "lowered.json"
        lowered = msgspec.json.decode(path.read_bytes(), type=slots.Lowered)
        path.write_bytes(msgspec.json.encode(msgspec.structs.replace(lowered, since=0.0)))

    for _ in range(slots.LOWERED_TIMES - 1):
        with pytest.raises(CardBusy):
            await refused()
        with pytest.raises(CardBusy, match="no 2 of 8"):
            await refused()
        later()
    with pytest.raises(EncodeFailed) as failed:
        await refused()
    assert why_replan(failed.value)


async def test_a_chunk_that_was_made_ends_the_row_of_refusals(tmp_path: Path) -> None:
    folder = slots.folder_of(settings(tmp_path))
    async with slots.take(folder, 4, cap=8, wait_s=0):
        slots.lower(folder, 8)

    async with slots.on_card(planned(), settings(tmp_path), cap=8):
        pass

    assert slots.cap_now(folder, 8) == 8


async def test_a_card_that_died_is_told_from_bad_input(tmp_path: Path) -> None:
    with pytest.raises(EncodeFailed) as died:
        async with slots.on_card(planned("hybrid"), settings(tmp_path), cap=0):
            raise EncodeFailed("ffmpeg gave up", lines=["... -> CUDA_ERROR_UNKNOWN: unknown error"])
    with pytest.raises(EncodeFailed) as bad:
        async with slots.on_card(planned(), settings(tmp_path), cap=8):
            raise EncodeFailed("ffmpeg gave up", lines=["Invalid data found when processing input"])

    assert "CUDA_ERROR_UNKNOWN" in (why_replan(died.value) or "")
    assert died.value.details["lines"] == ["... -> CUDA_ERROR_UNKNOWN: unknown error"]
    assert why_replan(bad.value) is None
