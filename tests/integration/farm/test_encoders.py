"""Encoder classes on real builds of ffmpeg: spelt right to the last option, proven by encoding, failing as cards do."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from fractions import Fraction
from pathlib import Path
from typing import Literal

import av
import msgspec
import pytest

from farm import command, fitting, publish, run, slots, tasks
from farm.encoders import ENCODERS, HYBRID, NVENC, X264, Encoder
from farm.engine import Engine, best, find, sessions_cap, works
from farm.grid import grid
from farm.media import MediaInfo, Picture
from farm.plan import Order, Plan, Recipe
from farm.planning import plan
from shared import jobs
from shared.errors import EncodeFailed, Misconfigured
from shared.ladder import Rendition, Rung
from shared.need import NORMAL, Offer, WorkerState, score
from shared.settings import FarmSettings
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.fake_ffmpeg import fake_ffmpeg

LIMITS = run.Limits(deadline_s=20, stall_s=20)
LADDER = (Rung(180, 30, 300), Rung(90, 30, 150))
RENDITION = Rendition("180", 320, 180, crf=23, maxrate_kbps=400)
#: What else ffmpeg may say of an encoder that cannot load CUDA: that nothing came of it.
AFTERMATH = (
    "Error while opening encoder", "Error initializing output stream", "Task finished with error code",
    "Terminating thread with return code", "Could not open encoder before EOF", "Nothing was written into output file",
    "Error while filtering", "Conversion failed", "Error sending frames to consumers", "Failed to inject frame",
    "Could not dynamically load CUDA", "Device creation failed: -1", "Error parsing global options",
    "Failed to set value 'cuda' for option 'init_hw_device'", "Error submitting a packet to the muxer",
    "Invalid argument", "Operation not permitted",
)  # fmt: skip


def planned(
    encoder_name: str,
    decode: Literal["cpu", "cuda"] = "cpu",
    *,
    interlaced: bool = False,
    ladder: tuple[Rung, ...] = LADDER,
) -> Plan:
    """Five seconds of 320x180."""
    info = MediaInfo("mov", 1, 0, Picture(0, "h264", 320, 180, 25, 1, True, 125, 0.0, 5.0, interlaced=interlaced))
    sha256 = hashlib.sha256(media.plain().read_bytes()).hexdigest()
    made = plan(info, Recipe(farms.TITLE, sha256, encoder_name, "test", ladder=ladder))
    return msgspec.structs.replace(made, video=msgspec.structs.replace(made.picture, decode=decode))


def argv(made: Plan, on: Encoder, folder: Path, ffmpeg: str) -> list[str]:
    return command.video(made, made.pieces[0], command.Bench(ffmpeg, media.plain(), folder, 1), encoder=on)


async def words(arguments: list[str], folder: Path) -> list[str]:
    """What ffmpeg says as it fails."""
    with pytest.raises(EncodeFailed) as failed:
        await run.run(arguments, folder, LIMITS)
    lines = failed.value.details["lines"]
    assert isinstance(lines, list)
    return lines


def unexpected(lines: list[str], cause: str) -> list[str]:
    """Lines that want another cause than `cause`."""
    assert any(cause in line for line in lines), lines
    return [line for line in lines if cause not in line and not any(after in line for after in AFTERMATH)]


NVENC_PLANS = pytest.mark.parametrize(
    ("on", "decode", "interlaced"),
    [(NVENC, "cpu", False), (NVENC, "cuda", False), (NVENC, "cuda", True), (HYBRID, "cuda", False)],
    ids=["nvenc after the cpu", "nvenc", "nvenc interlaced", "hybrid"],
)


@NVENC_PLANS
@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_a_command_for_a_card_wants_nothing_but_libcuda(
    tmp_path: Path, ffmpeg: str, on: Encoder, decode: Literal["cpu", "cuda"], interlaced: bool
) -> None:
    arguments = argv(planned(on.name, decode, interlaced=interlaced), on, tmp_path, ffmpeg)

    assert unexpected(await words(arguments, tmp_path), "Cannot load libcuda") == []


def keyframes(path: Path) -> list[int]:
    """Which frames stand alone."""
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
    return [index for index, packet in enumerate(packets) if packet.is_keyframe]


def without_device(arguments: list[str]) -> list[str]:
    """The command without its device: all filters are read, and `hwupload` is the first to miss it."""
    at = arguments.index("-init_hw_device")
    bare = arguments[:at] + arguments[at + 2 :]
    at = bare.index("-hwaccel")
    return bare[:at] + bare[at + 4 :]


@pytest.mark.parametrize("on", [NVENC, HYBRID], ids=lambda one: one.name)
async def test_filters_of_a_card_are_spelt_right(tmp_path: Path, on: Encoder) -> None:
    arguments = without_device(argv(planned(on.name, "cuda", interlaced=True), on, tmp_path, media.WHEEL))
    missing = "A hardware device reference is required"

    lines = await words(arguments, tmp_path)

    assert [line for line in unexpected(lines, missing) if "Error initializing filters" not in line] == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("qres", "qress"), ("p5", "p55"), ("vbr", "vbrr"), ("hq", "hqq"), ("middle", "midle"), ("high", "hihg"),
     ("-spatial-aq", "-spatial-aqq"), ("-forced-idr", "-forced-id"), ("+cgop+bitexact", "+cgopp"),
     ("-rc-lookahead", "-rc-look")],
)  # fmt: skip
async def test_one_misspelt_option_shows(tmp_path: Path, right: str, wrong: str) -> None:
    arguments = argv(planned("nvenc"), NVENC, tmp_path, media.WHEEL)
    assert right in arguments

    lines = await words([wrong if argument == right else argument for argument in arguments], tmp_path)

    assert not any("Cannot load libcuda" in line for line in lines) or unexpected(lines, "Cannot load libcuda")


@pytest.mark.parametrize("option", sorted(NVENC.options(RENDITION, grid(Fraction(25)))))
async def test_each_misspelt_option_shows(tmp_path: Path, option: str) -> None:
    arguments = argv(planned("nvenc"), NVENC, tmp_path, media.WHEEL)
    name, colon, stream = option.partition(":")
    assert f"-{option}" in arguments

    changed = [f"-{name}x{colon}{stream}" if one == f"-{option}" else one for one in arguments]

    assert not any("Cannot load libcuda" in line for line in await words(changed, tmp_path))


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
@pytest.mark.parametrize("on", [NVENC, HYBRID], ids=lambda one: one.name)
async def test_what_proves_a_card_wants_nothing_but_libcuda(tmp_path: Path, ffmpeg: str, on: Encoder) -> None:
    arguments = command.proof(ffmpeg, on, on.options(RENDITION, grid(Fraction(25))))

    assert unexpected(await words(arguments, tmp_path), "Cannot load libcuda") == []


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_what_counts_sessions_wants_nothing_but_libcuda(tmp_path: Path, ffmpeg: str) -> None:
    arguments = command.sessions(ffmpeg, NVENC.options(RENDITION, grid(Fraction(25))), 3)

    assert unexpected(await words(arguments, tmp_path), "Cannot load libcuda") == []


@pytest.mark.parametrize(
    ("right", "wrong"),
    [("bicubic", "bicubbic"), ("scale_cuda", "scale_cudaa"), ("passthrough", "pass"), ("send_frame", "send_framee")],
)
async def test_one_misspelt_filter_shows(tmp_path: Path, right: str, wrong: str) -> None:
    arguments = without_device(argv(planned("nvenc", "cuda", interlaced=True), NVENC, tmp_path, media.WHEEL))
    changed = [argument.replace(right, wrong) for argument in arguments]
    assert changed != arguments

    assert not any("A hardware device reference" in line for line in await words(changed, tmp_path))


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_an_av1_rung_is_a_closed_gop_a_segment(tmp_path: Path, ffmpeg: str) -> None:
    made = planned("x264", ladder=(Rung(180, 30, 300), Rung(90, 40, 100, "av1")))

    await run.run(argv(made, X264, tmp_path, ffmpeg), tmp_path, LIMITS)

    assert keyframes(tmp_path / "90.mp4") == [0, 100]
    assert keyframes(tmp_path / "180.mp4") == [0, 100]


@pytest.mark.parametrize("how", ["no-libcuda", "no-unit", "out-of-memory", "crash", "hang", "garbage", "broken"])
async def test_nvenc_that_is_listed_but_unusable_is_not_taken(tmp_path: Path, how: str) -> None:
    assert (await best(fake_ffmpeg(tmp_path / "bin", how, cap=0), tmp_path, cards=False)).name == "x264"


async def test_an_encoder_that_is_set_must_work(tmp_path: Path) -> None:
    program = fake_ffmpeg(tmp_path / "bin", "crash")

    with pytest.raises(Misconfigured, match="USHER_ENCODER is nvenc"):
        await find(FarmSettings(ffmpeg=program, scratch_dir=tmp_path / "scratch", encoder="nvenc"))


async def test_a_card_without_an_encoder_unit_decodes_and_scales(tmp_path: Path) -> None:
    program = fake_ffmpeg(tmp_path / "bin", "no-unit")

    assert (await best(program, tmp_path, cards=True)).name == "hybrid"
    assert not await works(program, NVENC, tmp_path)


@pytest.mark.parametrize("cap", [1, 3, 8])
async def test_the_sessions_of_a_card_are_learnt_at_the_start(tmp_path: Path, cap: int) -> None:
    program = fake_ffmpeg(tmp_path / "bin", "out-of-memory", cap=cap)
    settings = FarmSettings(ffmpeg=program, scratch_dir=tmp_path / "scratch", encoder="nvenc")

    found = await find(settings)

    assert (found.encoder.name, found.sessions_cap) == ("nvenc", cap)
    assert await sessions_cap(program, NVENC, msgspec.structs.replace(settings, nvenc_sessions=5)) == 5


@pytest.fixture
async def floor(tmp_path: Path, redis_url: str) -> AsyncIterator[tasks.Floor]:
    """A farm whose machine has a card; its program is chosen by each test."""
    settings = farms.settings(tmp_path, redis_url)
    async with tasks.floor(settings, Engine("", "test", NVENC, sessions_cap=4)) as on:
        await on.bucket.put_file(farms.MASTER, media.plain())
        yield on


async def ordered(on: tasks.Floor, made: Plan) -> jobs.ChunkTicket:
    """The ticket of the plan's first chunk."""
    await on.bucket.put(names.plan(made.version), msgspec.json.encode(Order(made, farms.MASTER)))
    return jobs.ChunkTicket(farms.JOB, farms.TITLE, made.version, "0")


def with_program(on: tasks.Floor, program: str) -> tasks.Floor:
    return msgspec.structs.replace(on, engine=msgspec.structs.replace(on.engine, ffmpeg=program))


@pytest.mark.parametrize(("encoder_name", "decode"), [("nvenc", "cpu"), ("nvenc", "cuda"), ("hybrid", "cuda")])
async def test_a_chunk_planned_for_a_card_is_made(
    floor: tasks.Floor, tmp_path: Path, encoder_name: str, decode: Literal["cpu", "cuda"]
) -> None:
    on = with_program(floor, fake_ffmpeg(tmp_path / "bin", "works"))
    ticket = await ordered(on, planned(encoder_name, decode))

    assert await tasks.perform(ticket, on, asyncio.Event()) == "done"

    marker = await publish.marker(on.bucket, ticket.version, "0")
    assert marker is not None and marker.samples == 125
    assert slots.used(slots.folder_of(on.settings)) == 0


async def test_chunks_above_the_cap_wait_or_go_back_and_none_fails(floor: tasks.Floor, tmp_path: Path) -> None:
    on = with_program(floor, fake_ffmpeg(tmp_path / "bin", "out-of-memory", cap=4))
    tickets = [
        await ordered(on, planned("nvenc", ladder=(Rung(180, crf, 300), Rung(90, crf, 150)))) for crf in range(25, 30)
    ]
    left, outcomes = tickets, set[str]()
    for _ in range(20):
        found = await asyncio.gather(*(tasks.perform(ticket, on, asyncio.Event()) for ticket in left))
        outcomes.update(found)
        left = [ticket for ticket, outcome in zip(left, found, strict=True) if outcome == "again"]

    assert outcomes <= {"done", "again"} and not left
    assert not [message for message in await farms.Farm(on).messages() if isinstance(message, jobs.Failed)]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("dies", "no-card"),
        ("no-libcuda", "no-card"),
        ("garbage", "encode-failed"),
        ("crash", "encode-failed"),
        ("hang", "stalled"),
    ],
)
async def test_a_card_that_fails_in_the_work_is_named(floor: tasks.Floor, tmp_path: Path, how: str, code: str) -> None:
    hasty = msgspec.structs.replace(floor, settings=msgspec.structs.replace(floor.settings, stall_s=1))
    on = with_program(hasty, fake_ffmpeg(tmp_path / "bin", how))
    ticket = await ordered(on, planned("nvenc"))

    assert await tasks.perform(ticket, on, asyncio.Event()) == "failed"

    last = (await farms.Farm(on).messages())[-1]
    assert isinstance(last, jobs.Failed | jobs.Replan)
    if isinstance(last, jobs.Failed):
        assert (last.code, last.final, last.lost) == (code, False, False)
    else:
        assert code == "no-card" and last.encoder == "x264"


@pytest.mark.parametrize(
    ("own", "cap", "others", "code"),
    [
        ("hybrid", 0, 4, "left"),
        ("nvenc", 1, 2, "left"),
        ("nvenc", 1, 1, "too-few-sessions"),
        ("hybrid", 0, 0, "no-encoder"),
    ],
)
async def test_a_chunk_for_another_kind_of_card_is_left_to_it_where_there_is_one(
    floor: tasks.Floor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: str, cap: int, others: int, code: str
) -> None:
    now = 0.0
    left = fitting.Left(lambda: now)
    monkeypatch.setattr(tasks, "LEFT", left)
    engine = Engine(fake_ffmpeg(tmp_path / "bin", "works"), "test", ENCODERS[own], sessions_cap=cap)
    on = msgspec.structs.replace(floor, engine=engine)
    ticket = await ordered(on, planned("nvenc"))
    offer = Offer(ticket.version, jobs.GPU_QUEUE, "seller", 0, 1.0, 0, {"0": ticket}, {"0": score(NORMAL)})
    await on.needs.offer(offer)
    kind = "nvenc" if others else "hybrid"
    await on.needs.tell(WorkerState("other", jobs.QUEUES, kind, "test", sessions_cap=others))

    outcome = await tasks.next_work(on, "w", asyncio.Event())

    if code == "left":
        assert (outcome, left.plans()) == ("again", (ticket.version,))
        assert isinstance((await farms.Farm(on).messages())[-1], jobs.GivenBack)
        assert await tasks.next_work(on, "w", asyncio.Event()) == "idle"
        now += fitting.LEFT_S
        assert await tasks.next_work(on, "w", asyncio.Event()) == "again"
        return
    last = (await farms.Farm(on).messages())[-1]
    assert outcome == "failed"
    assert isinstance(last, jobs.Replan) if code == "too-few-sessions" else isinstance(last, jobs.Failed)


@pytest.mark.parametrize("own", ["nvenc", "hybrid"])
async def test_work_for_processors_is_made_on_a_machine_with_a_card_too(
    floor: tasks.Floor, tmp_path: Path, own: str
) -> None:
    """Without a word to the card, which is dead."""
    engine = Engine(fake_ffmpeg(tmp_path / "bin", "no-libcuda"), "test", ENCODERS[own], sessions_cap=4)
    on = msgspec.structs.replace(floor, engine=engine)
    ticket = await ordered(on, planned("x264"))
    offer = Offer(ticket.version, jobs.CPU_QUEUE, "seller", 0, 1.0, 0, {"0": ticket}, {"0": score(NORMAL)})
    await on.needs.offer(offer)

    assert await tasks.next_work(on, "w", asyncio.Event()) == "done"


@pytest.mark.parametrize(("other", "outcome", "said"), [("o", "again", jobs.GivenBack), ("w", "failed", jobs.Replan)])
async def test_a_card_that_died_has_nothing_planned_anew_that_another_worker_makes(
    floor: tasks.Floor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str, outcome: str, said: type[object]
) -> None:
    """Which is not this worker itself, as it was told of before."""
    left = fitting.Left()
    monkeypatch.setattr(tasks, "LEFT", left)
    on = with_program(floor, fake_ffmpeg(tmp_path / "bin", "no-libcuda"))
    ticket = await ordered(on, planned("nvenc"))
    offer = Offer(ticket.version, jobs.GPU_QUEUE, "seller", 0, 1.0, 0, {"0": ticket}, {"0": score(NORMAL)})
    await on.needs.offer(offer)
    await on.needs.tell(WorkerState(other, jobs.QUEUES, "nvenc", "test", sessions_cap=4))

    assert await tasks.next_work(on, "w", asyncio.Event()) == outcome

    assert isinstance((await farms.Farm(on).messages())[-1], said)
    assert left.plans() == ((ticket.version,) if outcome == "again" else ())
