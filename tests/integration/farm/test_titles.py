"""Real masters become playable titles: every frame once, one step apart, picture and sound together."""

from __future__ import annotations

import asyncio
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from shared import jobs
from shared.storage import names
from tests.support import farm as farms
from tests.support import media, s3
from tests.support.farm import Farm, Made

MILLISECOND = Fraction(1, 1000)


async def check(made: Made, *, frames: int, rate: str) -> None:
    """What holds for every title with a picture."""
    step = 1 / Fraction(rate)
    for rendition in made.plan.picture.renditions:
        track = await made.track(rendition.name)
        shown = track.shown()
        assert shown[0] == 0
        assert {after - before for before, after in pairwise(shown)} == {step}
        decoded = track.decoded()
        assert len(decoded) == len(shown) == frames
        assert [frame.time for frame in decoded][:2] == [0.0, pytest.approx(float(step), abs=1e-6)]
        assert (decoded[0].width, decoded[0].height) == (rendition.width, rendition.height)
        assert sum(track.lengths()) == pytest.approx(float(frames * step), abs=1e-4)
        assert all(length == pytest.approx(float(round(4 / step) * step), abs=1e-6) for length in track.lengths()[:-1])
    await check_sound(made)


async def check_sound(made: Made) -> None:
    sound = await made.track("audio-0")
    assert abs(sound.shown()[0]) < MILLISECOND
    frames = sound.decoded()
    assert abs(frames[0].time) < 0.001
    assert {(frame.sample_rate, frame.layout.name) for frame in frames} == {(48000, "stereo")}
    assert sum(frame.samples for frame in frames) / 48000 == pytest.approx(made.plan.duration_s, abs=1024 / 48000)


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_a_plain_master_becomes_a_title_on_either_ffmpeg(tmp_path: Path, redis_url: str, ffmpeg: str) -> None:
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        made = await farm.whole(media.plain())

        await check(made, frames=125, rate="25")
        assert made.ready == jobs.Ready(
            job=farms.JOB,
            version=made.plan.version,
            edition=made.ready.edition,
            ceilings=("240",),
            duration_s=5.0,
            width=320,
            height=180,
            has_poster=True,
            loudness_lufs=made.ready.loudness_lufs,
            posters=3,
        )
        assert made.ready.loudness_lufs == pytest.approx(-21.8, abs=0.5)
        left = await farm.keys("work/")
        assert [key.split("/", 2)[2] for key in left] == [
            "0/done.json",
            "plan.json",
            "poster/done.json",
            f"ready-{farms.JOB}.json",
            "sound/done.json",
        ]
        assert (await farm.bucket.get(names.poster(farms.TITLE, made.plan.version))).startswith(b"\xff\xd8\xff")


@pytest.mark.parametrize(
    ("rate", "frames"),
    [("24000/1001", 144), ("24", 120), ("30000/1001", 150), ("30", 135), ("50", 250), ("60", 250)],
)
async def test_every_frame_of_every_rate_is_there_once(farm: Farm, rate: str, frames: int) -> None:
    name = f"rate-{rate.replace('/', '-')}.mp4"
    seconds = float(frames / Fraction(rate))
    master = media.master(name, *media.picture(rate=rate, seconds=seconds), *media.tone(seconds), *media.H264)

    await check(await farm.whole(master), frames=frames, rate=rate)


@pytest.mark.parametrize("container", ["mkv", "ts", "avi", "mov", "webm"])
async def test_every_container_keeps_every_frame(farm: Farm, container: str) -> None:
    codec = ("-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus") if container == "webm" else media.H264
    inputs = (*media.picture(rate="30000/1001", seconds=4.004), *media.tone(4.004))
    master = media.master(f"container.{container}", *inputs, *codec)

    await check(await farm.whole(master), frames=120, rate="30000/1001")


async def test_a_full_hd_master_gets_the_whole_ladder(farm: Farm) -> None:
    master = media.master("hd.mp4", *media.picture("1920x1080", seconds=1), *media.tone(1), *media.H264)
    made = await farm.whole(master)

    await check(made, frames=25, rate="25")
    assert made.ready.ceilings == ("1080", "720", "480", "360", "240")
    top, low = await made.playlist("1080"), await made.playlist("360")
    assert [f"/{name}/" in top for name in made.ready.ceilings] == [True] * 5
    assert [f"/{name}/" in low for name in made.ready.ceilings] == [False, False, False, True, True]
    assert "RESOLUTION=1920x1080,FRAME-RATE=25.000" in top
    seen = [message for message in await farm.messages() if isinstance(message, jobs.Planned)]
    assert seen[0].renditions[0] == jobs.RenditionPlan("1080", 1920, 1080)
    assert seen[0].renditions[-1] == jobs.RenditionPlan("audio-0")


async def test_an_upright_master_stays_upright(farm: Farm) -> None:
    master = media.master("upright.mp4", *media.picture("360x640", seconds=1), *media.H264)
    made = await farm.whole(master)

    await check(made, frames=25, rate="25")
    assert [(one.name, one.width, one.height) for one in made.plan.picture.renditions] == [
        ("360", 360, 640),
        ("240", 240, 426),
    ]


async def test_a_turned_master_is_turned_upright(farm: Farm) -> None:
    flat = media.master("flat.mp4", *media.picture("640x360", seconds=1), *media.H264)
    made = await farm.whole(media.master("turned.mp4", "-display_rotation", "90", "-i", str(flat), "-c", "copy"))

    await check(made, frames=25, rate="25")
    assert made.plan.picture.renditions[0].height == 640


async def test_wide_pixels_are_made_square(farm: Farm) -> None:
    wide = media.master("wide.mp4", *media.picture("360x288", seconds=1), "-vf", "setsar=16/11", *media.H264)
    made = await farm.whole(wide)

    await check(made, frames=25, rate="25")
    assert (made.ready.width, made.ready.height) == (426, 234)


async def test_a_tiny_odd_master_gets_one_rung(farm: Farm) -> None:
    inputs = media.picture("51x33", seconds=1)
    master = media.master("tiny.mp4", *inputs, "-c:v", "libx264", "-pix_fmt", "yuv444p")
    made = await farm.whole(master)

    await check(made, frames=25, rate="25")
    assert (made.ready.ceilings, made.ready.width, made.ready.height) == (("240",), 50, 32)


async def test_one_frame_is_a_title(farm: Farm) -> None:
    master = media.master("one.mp4", *media.picture(seconds=0.04), *media.H264)

    made = await farm.whole(master)

    assert len((await made.track("240")).decoded()) == made.plan.picture.frames == 13


async def test_a_changing_pace_becomes_constant(farm: Farm) -> None:
    choose = ("-vf", "select='not(mod(floor(n/7),2))'", "-fps_mode", "vfr")
    master = media.master("vfr.mp4", *media.picture(rate="30", seconds=6), *choose, *media.H264)
    made = await farm.whole(master)

    await check(made, frames=made.plan.picture.frames, rate="24000/1001")
    assert made.plan.duration_s == pytest.approx(6, abs=0.3)


async def test_an_interlaced_and_an_hdr_master_are_made(farm: Farm) -> None:
    interlaced = media.master(
        "tff.ts", *media.picture(seconds=1), "-vf", "setfield=tff", "-c:v", "mpeg2video", "-flags", "+ildct+ilme"
    )
    assert (await farm.whole(interlaced)).plan.picture.deinterlace
    to_hdr = "format=yuv420p10le,setparams=color_trc=smpte2084:color_primaries=bt2020:colorspace=bt2020nc"
    hdr = media.master(
        "hdr.mp4",
        *media.picture(seconds=1),
        *("-vf", to_hdr, "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
        *("-color_trc", "smpte2084", "-color_primaries", "bt2020", "-colorspace", "bt2020nc"),
    )
    made = await farm.whole(hdr)
    assert made.plan.picture.tonemap
    await check(made, frames=25, rate="25")


async def test_no_sound_becomes_silence(farm: Farm) -> None:
    made = await farm.whole(media.master("mute.mp4", *media.picture(seconds=5), *media.H264))

    await check(made, frames=125, rate="25")
    assert set((await made.track("audio-0")).samples()) == {0.0}


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_a_clap_is_seen_and_heard_at_the_same_moment(
    tmp_path: Path, redis_url: str, ffmpeg: str, container: str
) -> None:
    master = media.master(f"clap.{container}", *media.clap(at=3), *media.H264, "-c:a", "aac", "-b:a", "256k")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        made = await farm.whole(master)

        seen = next(frame.time for frame in (await made.track("240")).decoded() if farms.brightness(frame) > 128)
        heard = (await made.track("audio-0")).samples()
        onset = next(at for at, value in enumerate(heard) if abs(value) > 0.25) / 48000
        assert seen == 3.0
        assert abs(onset - 3.0) < 0.001


async def test_ffmpeg_plays_the_title_by_its_playlist(farm: Farm, tmp_path: Path) -> None:
    master = media.master("nine.mp4", *media.picture("640x360", seconds=9), *media.tone(9), *media.H264)
    made = await farm.whole(master)
    playlist = tmp_path / "bucket" / names.multivariant(made.plan.title, made.ready.edition, made.ready.ceilings[0])

    maps = ("-map", "0:v:0", "-map", "0:a:0")
    command = [media.WHEEL, "-v", "error", "-i", str(playlist), *maps, "-f", "framecrc", "-"]
    playing = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    printed, _ = await playing.communicate()

    text = printed.decode().splitlines()
    tick = [Fraction(line.split()[-1]) for line in text if line.startswith("#tb ")]
    lines = [line.split(",") for line in text if not line.startswith("#")]
    seen, heard = ([int(line[2]) * tick[stream] for line in lines if int(line[0]) == stream] for stream in (0, 1))
    assert seen == [Fraction(frame, 25) for frame in range(225)]
    assert abs(heard[0] - seen[0]) < Fraction(1, 25)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("s.mp3", ("-c:a", "libmp3lame")),
        ("s.flac", ()),
        ("s.ogg", ("-c:a", "libvorbis")),
        ("s.wav", ()),
        ("s.aac", ("-c:a", "aac")),
        ("s.m4a", ("-c:a", "aac")),
        ("s.mka", ("-c:a", "libopus")),
    ],
)
async def test_sound_alone_becomes_an_audio_title(farm: Farm, name: str, arguments: tuple[str, ...]) -> None:
    made = await farm.whole(media.master(name, *media.tone(6), *arguments), kind="audio")

    assert (made.ready.ceilings, made.ready.width) == (("audio",), 0)
    assert made.ready.duration_s == pytest.approx(6, abs=0.06)
    await check_sound(made)
    assert "audio-0/index.m3u8" in await made.playlist("audio")
    assert (await farm.bucket.get(names.poster(farms.TITLE, made.plan.version))).startswith(b"\xff\xd8\xff")


async def test_the_cover_of_a_song_becomes_its_poster(farm: Farm) -> None:
    cover = media.master("cover.png", "-f", "lavfi", "-i", "color=red:s=200x200", "-frames:v", "1")
    song = media.master("song.mp3", *media.tone(3), "-i", str(cover), "-map", "0", "-map", "1", "-c:v", "copy")
    made = await farm.whole(song)

    assert (made.plan.video, made.plan.poster.source, made.plan.poster.width) == (None, "cover", 200)


async def test_an_audio_title_takes_only_the_sound_of_a_video(farm: Farm) -> None:
    made = await farm.whole(media.plain(), kind="audio")

    assert made.ready.ceilings == ("audio",)
    assert made.plan.duration_s == pytest.approx(5, abs=0.05)


async def test_chunks_of_a_longer_plan_join_without_a_seam(farm: Farm) -> None:
    master = media.master("seam.mkv", *media.clap(13.013, at=7, rate="30000/1001"), *media.H264, "-c:a", "aac")
    await farm.probe(master)
    plan = await farms.in_pieces(farm, await farm.plan(), segments=1)
    for chunk in plan.chunks:
        assert await farm.chunk(plan, chunk) == "done"
    assert await farm.finalise(plan) == "done"

    made = Made(plan, farm.bucket, (await farm.messages())[-1])
    assert len(plan.pieces) == 4
    await check(made, frames=390, rate="30000/1001")
    light = [farms.brightness(frame) > 128 for frame in (await made.track("240")).decoded()]
    assert light == [False] * 210 + [True] * 180


async def test_a_title_is_made_on_s3(tmp_path: Path, redis_url: str) -> None:
    with s3.moto(tmp_path) as server:
        await server.make_bucket("usher-farm")
        where = {name.removeprefix("USHER_").lower(): value for name, value in server.environ("usher-farm").items()}
        async with farms.farm(tmp_path, redis_url, **where) as farm:
            made = await farm.whole(media.plain())

            await check(made, frames=125, rate="25")
            assert (await farm.bucket.get(names.ready(farms.TITLE, made.plan.version))).startswith(b"{")
