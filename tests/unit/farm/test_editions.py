"""The text of multivariant playlists: pictures, groups of sounds, subtitles, and rates before and after the making."""

from __future__ import annotations

import re
from fractions import Fraction

import msgspec
import pytest

from farm import codecs, early
from farm.editions import Rate, ceilings, multivariant
from farm.plan import Plan
from shared.jobs import Subtitle
from shared.ladder import Rendition
from tests.support import versions

PLAN = versions.planned()
RATES = {
    "720": Rate("avc1.64001f", 2_000_000, 1_500_000),
    "480": Rate("avc1.64001e", 1_000_000, 800_000),
    "360": Rate("avc1.64001e", 500_000, 400_000),
    "240": Rate("avc1.640015", 300_000, 200_000),
    "audio-0": Rate(codecs.SOUND, 128_000, 127_000),
    "audio-1": Rate(codecs.SOUND, 129_000, 127_000),
    "audio-2": Rate(codecs.SOUND, 400_000, 384_000),
}
SUBTITLES = (
    Subtitle("sub_11111111", "en", "English", "k", "s", default=True),
    Subtitle("sub_22222222", "en", "English", "k", "s", default=True),
    Subtitle("sub_33333333", "de", "Deutsch", "k", "s", forced=True),
)


def sounds(plan: Plan, *made: tuple[int, int, str, str]) -> Plan:
    """The plan with sounds of (stream, channels, language, label)."""
    heard = [
        msgspec.structs.replace(
            plan.sound, name=f"audio-{number}", stream=stream, channels=channels, language=language, label=label
        )
        for number, (stream, channels, language, label) in enumerate(made)
    ]
    return msgspec.structs.replace(plan, sounds=tuple(heard))


def test_a_multivariant_playlist_names_what_a_player_chooses_by() -> None:
    assert multivariant(PLAN, PLAN.picture.renditions[3:], RATES) == (
        "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound-2",NAME="Original",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",'
        f'URI="../../{PLAN.version}/audio-0/index.m3u8"\n'
        "#EXT-X-STREAM-INF:BANDWIDTH=428000,AVERAGE-BANDWIDTH=327000,"
        'CODECS="avc1.640015,mp4a.40.2",RESOLUTION=426x240,FRAME-RATE=25.000,AUDIO="sound-2"\n'
        f"../../{PLAN.version}/240/index.m3u8\n"
    )


def test_each_ceiling_lists_nothing_above_it_and_starts_modestly() -> None:
    texts = ceilings(PLAN, RATES)

    assert list(texts) == ["720", "480", "360", "240"]
    assert [f"/{name}/" in texts["480"] for name in texts] == [False, True, True, True]
    full = versions.planned()
    high = msgspec.structs.replace(full.picture.renditions[0], name="1080")
    shown = multivariant(full, (high, *full.picture.renditions), {**RATES, "1080": RATES["720"]})
    assert shown.index("/720/") < shown.index("/1080/") < shown.index("/480/")


def test_sound_alone_is_its_own_variant() -> None:
    alone = versions.planned(picture=False)

    assert ceilings(alone, RATES) == {
        "audio": "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-INDEPENDENT-SEGMENTS\n"
        '#EXT-X-STREAM-INF:BANDWIDTH=128000,AVERAGE-BANDWIDTH=127000,CODECS="mp4a.40.2"\n'
        f"../../{alone.version}/audio-0/index.m3u8\n"
    }


def test_sounds_of_equally_many_channels_are_a_group_and_each_group_holds_all() -> None:
    plan = sounds(PLAN, (1, 2, "en", "English"), (2, 2, "und", 'Kom\nmentar "eins"'), (1, 6, "en", "English"))
    lines = multivariant(plan, plan.picture.renditions[2:], RATES).splitlines()

    assert [line for line in lines if line.startswith("#EXT-X-MEDIA")] == [
        f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",{called},CHANNELS="{channels}",'
        f'URI="../../{plan.version}/{name}/index.m3u8"'
        for group, called, channels, name in (
            ("sound-2", 'NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES', 2, "audio-0"),
            ("sound-2", 'NAME="Kom mentar eins",DEFAULT=NO,AUTOSELECT=YES', 2, "audio-1"),
            ("sound-6", 'NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES', 6, "audio-2"),
            ("sound-6", 'NAME="Kom mentar eins",DEFAULT=NO,AUTOSELECT=YES', 2, "audio-1"),
        )
    ]
    variants = [(line.split("RESOLUTION=")[1], lines[at + 1]) for at, line in enumerate(lines) if "STREAM-INF" in line]
    assert [(about.split("x")[1][:3], about.split("AUDIO=")[1]) for about, _ in variants] == [
        ("360", '"sound-2"'),
        ("240", '"sound-2"'),
        ("360", '"sound-6"'),
        ("240", '"sound-6"'),
    ]
    told = [line.partition(",AUDIO=")[0] for line in lines if "STREAM-INF" in line]
    assert told[:2] == told[2:], "one quality, whichever its sound"
    assert "BANDWIDTH=900000,AVERAGE-BANDWIDTH=784000" in told[0], "the loudest counts"


def test_several_sounds_without_a_picture_are_a_group_of_their_own() -> None:
    plan = sounds(versions.planned(picture=False), (0, 2, "en", "English"), (1, 2, "en", "English"))
    text = multivariant(plan, (), RATES)

    assert text.count("#EXT-X-MEDIA:TYPE=AUDIO") == 2
    assert 'NAME="English 2",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO' in text
    assert text.endswith(
        '#EXT-X-STREAM-INF:BANDWIDTH=129000,AVERAGE-BANDWIDTH=127000,CODECS="mp4a.40.2",AUDIO="sound-2"\n'
        f"../../{plan.version}/audio-0/index.m3u8\n"
    )


def test_subtitles_are_a_group_with_one_default_at_most() -> None:
    lines = multivariant(PLAN, PLAN.picture.renditions, RATES, subtitles=SUBTITLES).splitlines()

    assert [line.split('"subtitles",')[1] for line in lines if "TYPE=SUBTITLES" in line] == [
        f'{called},URI="../../{PLAN.version}/subs-{folder}/index.m3u8"'
        for called, folder in (
            ('NAME="English",LANGUAGE="en",DEFAULT=YES,AUTOSELECT=YES,FORCED=NO', "en-11111111"),
            ('NAME="English 2",LANGUAGE="en",DEFAULT=NO,AUTOSELECT=NO,FORCED=NO', "en-22222222"),
            ('NAME="Deutsch",LANGUAGE="de",DEFAULT=NO,AUTOSELECT=YES,FORCED=YES', "de-33333333"),
        )
    ]
    assert all(line.endswith(',SUBTITLES="subtitles"') for line in lines if "STREAM-INF" in line)


@pytest.mark.parametrize("label", ['a",URI="x', "a\r\n#EXT-X-ENDLIST", "\u2028\u0000", " "])
def test_no_label_leaves_its_quotes(label: str) -> None:
    plan = sounds(PLAN, (1, 2, 'x",A="', label))
    text = multivariant(plan, plan.picture.renditions[:1], RATES)

    listed = next(line for line in text.split("\n") if "TYPE=AUDIO" in line).partition(":")[2]
    names = re.findall(r'([A-Z-]+)=(?:"[^"]*"|[A-Z]+)(?:,|\Z)', listed)
    assert names == ["TYPE", "GROUP-ID", "NAME", "DEFAULT", "AUTOSELECT", "CHANNELS", "URI"]
    assert len(text.splitlines()) == len(text.split("\n")) - 1 == 6
    assert "LANGUAGE" not in text


def test_before_a_byte_is_made_the_most_that_the_plan_allows_is_told() -> None:
    top = early.edition(PLAN).tops["240"]

    assert (
        "#EXT-X-STREAM-INF:BANDWIDTH=800800,AVERAGE-BANDWIDTH=528000,"
        'CODECS="avc1.640015,mp4a.40.2",RESOLUTION=426x240,FRAME-RATE=25.000,AUDIO="sound-2"' in top
    )


@pytest.mark.parametrize(
    ("width", "height", "fps", "codec"),
    [
        (426, 240, 25, "av01.0.00M.08"),
        (640, 360, 30, "av01.0.01M.08"),
        (1280, 720, 25, "av01.0.05M.08"),
        (1920, 1080, 30, "av01.0.08M.08"),
        (1920, 1080, 60, "av01.0.09M.08"),
        (3840, 2160, 60, "av01.0.13M.08"),
        (16384, 16384, 60, "av01.0.16M.08"),
    ],
)
def test_av1_is_named_by_its_lowest_level(width: int, height: int, fps: int, codec: str) -> None:
    assert codecs.of(Rendition("x", width, height, 30, 1000, codec="av1"), Fraction(fps)) == codec


def test_h264_is_named_by_the_level_of_the_plan() -> None:
    assert codecs.of(Rendition("x", 1280, 720, 30, 1000, level=31), Fraction(25)) == "avc1.64001f"
