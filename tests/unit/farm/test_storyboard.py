"""Which pictures a seek bar gets, how they are taken, and the index that names them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import msgspec
import pytest

from farm import command
from farm.media import MediaInfo, Picture, Sound
from farm.plan import Recipe, StoryboardPlan
from farm.planning import plan
from farm.posters import poster, storyboard
from farm.storyboard import index

BENCH = command.Bench("/bin/ffmpeg", Path("/masters/m"), Path("/bench"), threads=2)


def info(width: int = 1920, height: int = 1080, **about: object) -> MediaInfo:
    picture = Picture(0, "h264", width, height, 25, 1, True, 25 * 20, 0.5, 20.5)
    return MediaInfo("mov", 1, 500_000, msgspec.structs.replace(picture, **about))


@pytest.mark.parametrize(
    ("seconds", "every_s", "rows"), [(10, 1, 2), (100, 1, 5), (151, 2, 5), (700, 5, 5), (5000, 10, 5), (86_400, 10, 5)]
)
def test_longer_titles_have_pictures_further_apart(seconds: float, every_s: float, rows: int) -> None:
    assert storyboard(info(), seconds) == StoryboardPlan(every_s, 160, 90, 5, rows)


def test_a_short_title_and_one_of_sound_have_no_storyboard() -> None:
    assert storyboard(info(), 9.9) is None
    assert storyboard(MediaInfo("mp3", 1, 0, None, Sound(0, "mp3", 44100, 2, 0, 100)), 100) is None


def test_more_is_decoded_where_few_pictures_stand_alone() -> None:
    near, far = info(keyframes=(0.5, 20.5, 40.5, 60.5)), info(keyframes=(0.5, 20.5, 41.5, 60.5))
    boards = [storyboard(one, end) for one, end in ((near, 80), (near, 81), (far, 80), (info(), 80))]

    assert [made.skip for made in boards if made] == ["nointra", "noref", "noref", "nointra"]


def test_an_upright_picture_stays_upright_and_a_small_one_small() -> None:
    assert storyboard(info(1080, 1920), 20) == StoryboardPlan(1, 90, 160, 5, 4)
    assert storyboard(info(100, 60), 20) == StoryboardPlan(1, 100, 60, 5, 4)


def test_the_index_names_each_picture_once_and_ends_with_the_title() -> None:
    text = index(StoryboardPlan(2.0, 160, 90, 2, 2), 11.5)

    assert text.startswith("WEBVTT\n\n00:00:00.000 --> 00:00:02.000\n0.jpg#xywh=0,0,160,90\n\n")
    cues = re.findall(r"--> (\S+)\n(\d)\.jpg#xywh=(\d+),(\d+),160,90\n", text)
    assert [cue[1:] for cue in cues] == [
        ("0", "0", "0"),
        ("0", "160", "0"),
        ("0", "0", "90"),
        ("0", "160", "90"),
        ("1", "0", "0"),
        ("1", "160", "0"),
    ]
    assert cues[-1][0] == "00:00:11.500"


def test_pictures_that_stand_alone_are_decoded_for_the_sheets() -> None:
    made = plan(info(), Recipe("t", "s", "x264", "b"))
    graph = (
        "[0:0]split=2[s0][s1];[s1]setpts=PTS-0.500000/TB[s2];[s2]fps=eof_action=pass:fps=1/1:start_time=0[s3];"
        "[s3]tpad=stop_duration=21.000:stop_mode=clone[s4];[s4]trim=end_frame=20[s5];"
        "[s5]scale=160:90:flags=bicubic[s6];[s6]setsar=1[s7];[s7]tile=5x4[s8]"
    )

    assert shlex.join(command.storyboard(made, BENCH)) == (
        "/bin/ffmpeg -hide_banner -nostdin -nostats -loglevel warning -progress pipe:1 -y "
        f"-f mov -copyts -protocol_whitelist file -skip_frame nointra -i file:/masters/m -filter_complex '{graph}' "
        "-map '[s0]' -f null -fps_mode passthrough - -map '[s8]' -f image2 -fflags +bitexact -flags:v +bitexact "
        "-fps_mode passthrough -pix_fmt yuvj420p -q:v 4 -start_number 0 -vcodec mjpeg /bench/%d.jpg"
    )
    assert "noref" in command.storyboard(made, BENCH, few=False)


def test_posters_come_from_three_places_and_from_keyframes_where_those_are_far() -> None:
    assert poster(info(), 20).places == (2.0, 7.0, 14.0)
    far = info(keyframes=(0.5, 240.5, 680.5))
    assert poster(far, 1000).places == (0.0, 240.0, 700.0)
    assert poster(info(1280, 720), 0.04).places == (0.0,)
