"""Sounds of real masters: every language and channel is heard where it belongs, and is as loud as was asked."""

from __future__ import annotations

import cmath
from collections.abc import Sequence
from pathlib import Path

import av
import msgspec
import pytest

from farm import publish
from farm.plan import Order, Plan
from shared.storage import names
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm, TrackBytes

#: A tone for each channel of 5.1, in its order; the last but two is low, as that channel is.
TONES = {"FL": 400, "FR": 700, "FC": 1100, "LFE": 60, "BL": 1600, "BR": 2300}
ALL = tuple(TONES.values())


def surround(name: str, *, layout: str = "5.1", extra: Sequence[str] = ()) -> Path:
    """A master whose only sound has a tone of its own on each of six channels."""
    tones = "|".join(f"0.2*sin(2*PI*{hertz}*t)" for hertz in ALL)
    heard = ("-f", "lavfi", "-i", f"aevalsrc='{tones}':c={layout}:s=48000:d=4")
    return media.master(name, *media.picture("160x90", seconds=4), *heard, *media.H264, *extra)


def spoken(name: str, tones: dict[str, int], *more: str) -> Path:
    """A master with a stream of sound for each language, each a tone of its own."""
    inputs, maps = [*media.picture("160x90", seconds=4)], ["-map", "0:v"]
    for number, (language, hertz) in enumerate(tones.items()):
        inputs += ["-f", "lavfi", "-i", f"sine=frequency={hertz}:sample_rate=48000:duration=4"]
        maps += ["-map", f"{number + 1}:a", f"-metadata:s:a:{number}", f"language={language}"]
    return media.master(name, *inputs, *maps, *media.H264, *more)


def channels(track: TrackBytes) -> list[list[float]]:
    """The samples of each channel."""
    heard: list[list[float]] = []
    for frame in track.decoded():
        assert isinstance(frame, av.AudioFrame)
        heard = heard or [[] for _ in frame.planes]
        for channel, plane in zip(heard, frame.planes, strict=True):
            channel += memoryview(plane).cast("B")[: 4 * frame.samples].cast("f").tolist()
    return heard


def strength(samples: Sequence[float], hertz: float) -> float:
    """How much of a tone is in a channel (Goertzel): its amplitude, over a second from the middle."""
    window = samples[48_000:96_000]
    turn = cmath.exp(-2j * cmath.pi * hertz / 48_000)
    phase, total = 1 + 0j, 0j
    for sample in window:
        total, phase = total + sample * phase, phase * turn
    return 2 * abs(total) / len(window)


def tones(samples: Sequence[float], among: Sequence[int] = ALL, *, over: float = 0.02) -> set[int]:
    """Which of these tones are heard in a channel."""
    return {hertz for hertz in among if strength(samples, hertz) > over}


async def made_sound(farm: Farm, master: Path, **changes: object) -> tuple[Plan, dict[str, TrackBytes], publish.Marker]:
    """The plan of a master, each of its sounds as it is cut, and the marker."""
    assert await farm.probe(master) == "done", (await farm.messages())[-1]
    plan = msgspec.structs.replace(await farm.plan(), **changes)
    await farm.bucket.put(names.plan(plan.version), msgspec.json.encode(Order(plan, farms.MASTER)))
    assert await farm.chunk(plan, "sound") == "done", (await farm.messages())[-1]
    marker = await publish.marker(farm.bucket, plan.version, "sound")
    assert marker is not None
    await publish.copy_winner(farm.bucket, marker, title=plan.title, version=plan.version)
    found = {}
    for track in marker.tracks:
        base = f"{names.version_prefix(plan.title, plan.version)}{track.name}"
        pieces = [await farm.bucket.get(f"{base}/0/{number}.m4s") for number in range(len(track.ticks))]
        found[track.name] = TrackBytes("", await farm.bucket.get(f"{base}/init.mp4"), pieces)
    return plan, found, marker


@pytest.mark.parametrize("ffmpeg", media.FFMPEGS.values(), ids=media.FFMPEGS)
async def test_each_channel_of_surround_keeps_its_place(tmp_path: Path, redis_url: str, ffmpeg: str) -> None:
    master = surround("surround.mp4", extra=("-c:a", "aac", "-b:a", "384k"))
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        plan, sounds, _ = await made_sound(farm, master)

        assert [(one.name, one.channels) for one in plan.sounds] == [("audio-0", 2), ("audio-1", 6)]
        assert [tones(channel) for channel in channels(sounds["audio-1"])] == [{hertz} for hertz in ALL]
        layouts = {frame.layout.name for frame in sounds["audio-1"].decoded() if isinstance(frame, av.AudioFrame)}
        assert layouts == {"5.1"}
        left, right = (tones(channel) for channel in channels(sounds["audio-0"]))
        assert left == {TONES["FL"], TONES["FC"], TONES["BL"]}
        assert right == {TONES["FR"], TONES["FC"], TONES["BR"]}


@pytest.mark.parametrize(("layout", "codec"), [("5.1(side)", "ac3"), ("5.1", "pcm_s16le")])
async def test_surround_of_other_codecs_keeps_its_places(farm: Farm, layout: str, codec: str) -> None:
    _, sounds, _ = await made_sound(farm, surround(f"{codec}.mkv", layout=layout, extra=("-c:a", codec)))

    assert [tones(channel) for channel in channels(sounds["audio-1"])] == [{hertz} for hertz in ALL]


async def test_every_language_is_heard_by_its_own_name(farm: Farm) -> None:
    languages = {"eng": 500, "deu": 900, "jpn": 1500}
    master = spoken("languages.mkv", languages, "-c:a", "aac", "-disposition:a:0", "0", "-disposition:a:1", "default")
    plan, sounds, marker = await made_sound(farm, master)

    heard = {one.language: tones(channels(sounds[one.name])[0], [500, 900, 1500]) for one in plan.sounds}
    assert heard == {"de": {900}, "en": {500}, "ja": {1500}}
    assert plan.sounds[0].language == "de"
    assert [track.name for track in marker.tracks] == ["audio-0", "audio-1", "audio-2"]
    assert len({track.ticks for track in marker.tracks}) == 1


async def test_a_player_finds_every_sound_with_its_language_and_channels(farm: Farm, tmp_path: Path) -> None:
    tones = "|".join(f"0.1*sin(2*PI*{hertz}*t)" for hertz in ALL)
    master = media.master(
        "both.mkv",
        *media.picture("160x90", seconds=4),
        *("-f", "lavfi", "-i", f"aevalsrc='{tones}':c=5.1:s=48000:d=4", *media.tone(4, rate=48000)),
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:a", "pcm_s16le", *media.H264),
        *("-metadata:s:a:0", "language=fre", "-metadata:s:a:1", "language=spa"),
    )
    made = await farm.whole(master)
    playlist = tmp_path / "bucket" / names.multivariant(made.plan.title, made.ready.edition, made.ready.ceilings[0])

    with av.open(str(playlist), "r") as container:
        found = {(one.metadata.get("language"), one.channels) for one in container.streams.audio}
    assert found == {("fr", 2), ("fr", 6), ("es", 2)}
    assert made.ready.languages == ("fr", "es")


async def test_all_sounds_begin_and_end_together_however_late_theirs_do(farm: Farm) -> None:
    late = ("-itsoffset", "1.5", *media.tone(1, rate=48000))
    master = media.master(
        "late.mkv",
        *media.picture("160x90", seconds=4),
        *media.tone(4, rate=48000),
        *late,
        *("-map", "0:v", "-map", "1:a", "-map", "2:a", "-c:a", "pcm_s16le", *media.H264),
    )
    _, sounds, _ = await made_sound(farm, master)

    whole, short = (channels(sounds[name])[0] for name in ("audio-0", "audio-1"))
    assert len(whole) == len(short)
    loud = [at for at, value in enumerate(short) if abs(value) > 0.05]
    assert loud[0] / 48_000 == pytest.approx(1.5, abs=0.002)
    assert loud[-1] / 48_000 == pytest.approx(2.5, abs=0.025)


async def test_loudness_is_measured_always_and_evened_when_asked(farm: Farm) -> None:
    quiet = spoken("quiet.mkv", {"eng": 1000, "deu": 1500}, "-c:a", "pcm_s16le", "-af", "volume=-12dB")
    _, plain, marker = await made_sound(farm, quiet)
    _, even, evened = await made_sound(farm, quiet, loudness=True)

    assert marker.loudness_lufs == pytest.approx(-33, abs=1.5)
    assert evened.loudness_lufs == pytest.approx(-16, abs=0.2)
    for name, hertz in (("audio-0", 1000), ("audio-1", 1500)):
        before, after = (strength(channels(sounds[name])[0], hertz) for sounds in (plain, even))
        assert after / before > 5


async def test_no_sound_is_made_louder_than_its_peak_allows(farm: Farm) -> None:
    knock = "0.5*sin(2*PI*1000*t)*sin(PI*mod(t,1)/0.02)"
    knocks = f"aevalsrc='if(lt(mod(t,1),0.02),{knock},0.002*sin(2*PI*300*t))':s=48000:d=4"
    inputs = (*media.picture("160x90", seconds=4), "-f", "lavfi", "-i", knocks)
    master = media.master("knocks.mkv", *inputs, "-c:a", "pcm_s16le", *media.H264)
    _, plain, before = await made_sound(farm, master)
    _, even, after = await made_sound(farm, master, loudness=True)

    peaks = [max(map(abs, channels(sounds["audio-0"])[0])) for sounds in (plain, even)]
    highest = 0.5 * 0.5**0.5  # one channel becomes two of half its power
    assert peaks[1] / peaks[0] == pytest.approx(10 ** (-1 / 20) / highest, rel=0.1)
    assert before.loudness_lufs and after.loudness_lufs
    assert after.loudness_lufs - before.loudness_lufs == pytest.approx(8, abs=0.3)
    assert after.loudness_lufs < -17


async def test_silence_stays_silent_and_measures_nothing(farm: Farm) -> None:
    mute = media.master("mute4.mp4", *media.picture("160x90", seconds=4), *media.H264)
    plan, sounds, marker = await made_sound(farm, mute, loudness=True)

    assert plan.sound.stream is None
    assert set(channels(sounds["audio-0"])[0]) == {0.0}
    assert marker.loudness_lufs is None
