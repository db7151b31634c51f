"""Odd masters cut at every border: each frame once, one step apart, one init a rung, picture and sound together."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import msgspec
import pytest

from benchmarks.farm.numbered import number, numbers
from benchmarks.farm.oddities import AS_IT_IS, ODDITIES, TURNED, Odd
from farm import boxes, cuts
from farm.plan import ChunkPlan, Order, Plan
from farm.planning import LEAST_S
from shared import jobs
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm, Made

PLAIN = ODDITIES["plain"]
#: Frames of every master: some seconds more than four chunks of a segment each, at 25 a second.
FRAMES = 408


@pytest.fixture
def finely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each segment is a chunk of its own."""
    for name, value in {"FIRST_SEGMENTS": 1, "WHOLE_S": 4, "LEAST_S": 3, "MOST_S": 5, "WANTED_S": 4}.items():
        monkeypatch.setattr(cuts, name, value)


def master(odd: Odd, frames: int = FRAMES) -> Path:
    return media.master(f"{frames}-{odd.name}", *odd.arguments(frames))


async def shown(made: Made) -> list[int]:
    """The number that each frame of the top rung shows, after a look at what holds for every title."""
    step = 1 / made.plan.picture.grid.rate
    for rendition in made.plan.picture.renditions:
        times = (await made.track(rendition.name)).shown()
        assert times[0] == 0
        assert {after - before for before, after in pairwise(times)} <= {step}
        assert len(times) == made.plan.picture.frames
    assert abs((await made.track("audio-0")).shown()[0]) < Fraction(1, 1000)
    return numbers((await made.track(made.plan.picture.renditions[0].name)).decoded())


@pytest.mark.usefixtures("finely")
@pytest.mark.parametrize("name", [name for name, odd in ODDITIES.items() if odd.shown != "as-one"])
async def test_no_frame_is_lost_or_doubled_over_any_seam(farm: Farm, name: str) -> None:
    odd = ODDITIES[name]
    made = await farm.whole(master(odd))

    assert len(made.plan.pieces) >= 2
    numbered = list(range(0, FRAMES, 2 if odd.shown == "even" else 1))
    assert await shown(made) == numbered + [FRAMES - 1] * made.plan.picture.hold_frames


@pytest.mark.usefixtures("finely")
@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
@pytest.mark.parametrize("name", ["open groups", "to be copied", "29.97 in a transport stream"])
async def test_the_seams_hold_on_either_ffmpeg(tmp_path: Path, redis_url: str, ffmpeg: str, name: str) -> None:
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        assert await shown(await farm.whole(master(ODDITIES[name]))) == list(range(FRAMES))


async def test_a_changing_pace_looks_the_same_in_chunks_as_in_one(
    farm: Farm, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = master(ODDITIES["changing pace"])
    monkeypatch.setattr(cuts, "WHOLE_S", 3600)
    whole = await farm.whole(film)
    monkeypatch.undo()
    async with farms.farm(tmp_path / "cut", redis_url) as other:
        cut = await other.whole(film)

    assert (len(whole.plan.pieces), len(cut.plan.pieces)) == (1, 2)
    assert await shown(cut) == await shown(whole)


@pytest.mark.usefixtures("finely")
async def test_a_turned_film_is_seen_upright_over_every_seam(farm: Farm) -> None:
    flat = master(PLAIN)
    made = await farm.whole(media.master("turned-numbers.mp4", *TURNED, "-i", str(flat), *AS_IT_IS))

    assert await shown(made) == list(range(FRAMES))


async def test_one_frame_is_shown_for_as_long_as_players_need(farm: Farm) -> None:
    made = await farm.whole(master(PLAIN, 1))
    assert await shown(made) == [0] * made.plan.picture.frames
    assert made.plan.picture.frames / made.plan.picture.grid.rate >= LEAST_S


async def test_three_hours_are_cut_and_sought_right(farm: Farm) -> None:
    rate, repeats = 5, 54
    part = media.master("part.mp4", *_slow(rate, 200 * rate))
    film = media.master("long.mp4", "-stream_loop", str(repeats - 1), "-i", str(part), *AS_IT_IS)
    assert await farm.probe(film) == "done"
    plan = await farm.plan()

    assert plan.duration_s == pytest.approx(200 * repeats, abs=1)
    pieces = [plan.pieces[at] for at in (0, 1, len(plan.pieces) // 2, -1)]
    for piece in pieces:
        assert await farm.chunk(plan, piece.name) == "done"
        seen = await _seen(farm, plan, piece)
        assert seen == [frame % (200 * rate) for frame in range(piece.first_frame, piece.first_frame + piece.frames)]


def _slow(rate: int, frames: int) -> tuple[str, ...]:
    slow = msgspec.structs.replace(PLAIN, rate=str(rate), sound=(), options=("-c:v", "libx264", "-bf", "0", "-g", "40"))
    return tuple(slow.arguments(frames))


async def _seen(farm: Farm, plan: Plan, piece: ChunkPlan) -> list[int]:
    """The numbers of one chunk's frames."""
    name, each = plan.picture.renditions[0].name, plan.picture.grid.segment_frames
    data = await farm.bucket.get(names.init(plan.title, plan.version, name))
    first = piece.first_frame // each
    for index in range(-(-piece.frames // each)):
        data += await farm.bucket.get(names.segment(plan.title, plan.version, name, number=first + index))
    return numbers(farms.TrackBytes("", data, []).decoded())


@pytest.mark.usefixtures("finely")
async def test_a_copied_rung_is_the_master_s_own_packets(farm: Farm) -> None:
    film = master(ODDITIES["to be copied"])
    made = await farm.whole(film)
    track = await made.track("240")

    assert [rendition.copied for rendition in made.plan.picture.renditions] == [True]
    with av.open(str(film)) as container:
        sizes = [packet.size for packet in container.demux(container.streams.video[0]) if packet.size]
    assert [size for segment in track.segments for size in boxes.run(segment).sizes] == sizes


async def test_what_would_not_join_the_published_init_does_not_become_the_result(farm: Farm) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    await farm.bucket.put(names.init(plan.title, plan.version, "240"), b"of another build")

    assert await farm.chunk(plan, "0") != "done"
    assert _failures(await farm.messages())[-1].code == "init-differs"


async def test_a_codec_that_is_not_the_planned_one_is_refused(farm: Farm) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    video = plan.picture
    main = msgspec.structs.replace(video.renditions[0], profile="4d40")
    other = msgspec.structs.replace(plan, video=msgspec.structs.replace(video, renditions=(main,)))
    await farm.bucket.put(names.plan(other.version), msgspec.json.encode(Order(other, farms.MASTER)))

    assert await farm.chunk(other, "0") != "done"
    assert _failures(await farm.messages())[-1].code == "codec-differs"


async def test_a_machine_without_room_says_so_and_leaves_nothing(tmp_path: Path, redis_url: str) -> None:
    async with farms.farm(tmp_path, redis_url, scratch_quota_bytes=1 << 10) as farm:
        assert await farm.probe(media.plain()) == "done"

        assert await farm.chunk(await farm.plan(), "0") != "done"
        assert _failures(await farm.messages())[-1].code == "scratch-full"
        assert list((tmp_path / "scratch" / "chunks").iterdir()) == []


def _failures(messages: list[jobs.Message]) -> list[jobs.Failed]:
    return [message for message in messages if isinstance(message, jobs.Failed)]


def test_the_numbers_can_be_read_back() -> None:
    with av.open(str(master(PLAIN))) as container:
        assert [number(frame) for frame in container.decode(container.streams.video[0])] == list(range(FRAMES))
