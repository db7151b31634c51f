"""What a probe finds in real masters."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from farm.media import MediaInfo, Picture
from farm.probe import probe
from tests.support import media

X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")


def gop(name: str, options: str, *, seconds: float = 12, more: tuple[str, ...] = ("-bf", "2")) -> Picture:
    """The picture of a small master of 25 frames a second, its keyframes as x264's `options` say."""
    made = media.master(name, *media.picture("160x90", seconds=seconds), *X264, *more, "-x264-params", options)
    found = probe(made).picture
    assert found is not None
    return found


def keys(path: Path) -> list[float]:
    """Times of keyframes by reading the whole file."""
    with av.open(str(path)) as container:
        return sorted(float(packet.pts * packet.time_base) for packet in container.demux(video=0) if packet.is_keyframe)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "avi"])
def test_keyframes_are_found_where_they_are_shown(container: str) -> None:
    name = f"keys.{container}"
    found = gop(name, "keyint=60:min-keyint=60:scenecut=0")

    expected = [found.start_s + number * 2.4 for number in range(5)]
    assert found.keyframes == pytest.approx(expected, abs=0.0011)
    assert found.keyframes == pytest.approx(keys(media.made(name)), abs=0.0011 if container != "avi" else 0.09)


def test_an_open_gop_has_keyframes_but_few_pictures_that_stand_alone() -> None:
    found = gop("open.mp4", "keyint=50:min-keyint=50:scenecut=0:open-gop=1:bframes=2:b-adapt=0")

    assert found.keyframes == tuple(keys(media.made("open.mp4")))
    assert len(found.keyframes) >= 6
    assert found.idr_steps == ()
    assert found.exact_times


@pytest.mark.parametrize(
    ("keyint", "steps"), [(25, (100, 50, 25)), (50, (100, 50)), (100, (100,)), (40, ()), (250, ())]
)
def test_the_grid_of_pictures_that_stand_alone(keyint: int, steps: tuple[int, ...]) -> None:
    found = gop(f"gop-{keyint}.mp4", f"keyint={keyint}:min-keyint={keyint}:scenecut=0")

    assert found.idr_steps == steps
    assert (found.exact_times, found.profile, found.level, found.pix_fmt) == (True, "Main", 11, "yuv420p")
    assert found.avcc.startswith("014d40")


def test_a_keyframe_that_is_no_idr_does_not_count() -> None:
    gop("idr.mp4", "keyint=100:min-keyint=100:scenecut=0")
    with av.open(str(media.made("idr.mp4"))) as container:
        place = container.streams.video[0].index_entries[200].pos

    def no_longer(data: bytes) -> bytes:
        kinds = bytearray(data)
        kinds[place + 4] = kinds[place + 4] & 0xE0 | 1
        return bytes(kinds)

    found = probe(media.derived("no-idr.mp4", no_longer, media.made("idr.mp4"))).picture

    assert found is not None and (found.exact_times, found.idr_steps) == (True, ())


def test_the_rate_over_the_whole_and_in_its_worst_part() -> None:
    noise = ("-f", "lavfi", "-i", "nullsrc=s=160x90:r=25:d=12,geq=random(1)*255*gte(T\\,8):128:128")
    made = media.master("worst.mp4", *noise, *X264, "-g", "100", "-sc_threshold", "0")
    found = probe(made).picture

    assert found is not None
    with av.open(str(made)) as container:
        sizes = [packet.size for packet in container.demux(video=0)]
    assert found.bps == pytest.approx(8 * sum(sizes) / 12, rel=0.001)
    assert found.peak_bps == pytest.approx(8 * sum(sizes[200:300]) / 4, rel=0.001)
    assert found.peak_bps > 2 * found.bps


def test_times_off_the_grid_by_a_tick_are_not_exact() -> None:
    made = media.master("ms.mp4", "-i", str(media.plain()), "-c", "copy", "-video_track_timescale", "1001")
    found = probe(made).picture

    assert found is not None and not found.exact_times


def test_dense_keyframes_are_thinned_to_one_each_half_second() -> None:
    found = gop("dense.mp4", "keyint=1", seconds=3, more=())

    assert found.keyframes == pytest.approx([0, 0.52, 1, 1.52, 2, 2.52])


def sounds_of(container: str) -> MediaInfo:
    inputs = (*media.picture("160x90", seconds=1), *media.tone(1), "-f", "lavfi", "-i", "anullsrc=5.1:48000:d=1")
    streams = ("-map", "0", "-map", "1", "-map", "2", *X264, "-c:a", "aac", "-strict", "-2")
    told = (
        *("-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=eng", "-metadata:s:a:1", "title=Surround"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default"),
    )
    return probe(media.master(f"sounds.{container}", *inputs, *streams, *told))


@pytest.mark.parametrize("container", ["mkv", "mp4", "ts"])
def test_every_sound_is_found_with_its_language_and_layout(container: str) -> None:
    found = sounds_of(container)

    assert [(one.language, one.channels, one.layout) for one in found.sounds] == [
        ("deu", 1, "mono"),
        ("eng", 6, "5.1"),
    ]
    if container != "ts":
        assert found.sound == found.sounds[1]
    if container == "mkv":
        assert [one.title for one in found.sounds] == ["", "Surround"]
