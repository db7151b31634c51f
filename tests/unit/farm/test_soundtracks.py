"""Which sounds a title gets of the streams its master has."""

from __future__ import annotations

from fractions import Fraction

from farm.grid import grid
from farm.media import MediaInfo, Sound
from farm.plan import SoundPlan
from farm.soundtracks import sounds


def stream(number: int, **about: object) -> Sound:
    return Sound(number, "aac", 48000, **{"channels": 2, "start_s": 0.0, "end_s": 10.0, **about})  # type: ignore[arg-type]


def made(*streams: Sound, default: int = 0) -> tuple[SoundPlan, ...]:
    info = MediaInfo("mov", 1, 0, None, streams[default] if streams else None, None, streams)
    return sounds(info, Fraction(10), grid(Fraction(25)))


def told(plans: tuple[SoundPlan, ...]) -> list[tuple[object, ...]]:
    return [(one.name, one.stream, one.channels, one.language, one.label, one.default) for one in plans]


def test_every_language_has_a_stereo_sound_and_the_default_comes_first() -> None:
    found = made(stream(1, language="eng"), stream(2, language="ger"), stream(3), default=1)

    assert told(found) == [
        ("audio-0", 2, 2, "de", "Deutsch", True),
        ("audio-1", 1, 2, "en", "English", False),
        ("audio-2", 3, 2, "und", "Original", False),
    ]
    facts = {(one.samples, one.segment_s, one.kbps, one.layout) for one in found}
    assert facts == {(480_000, Fraction(4), 128, "stereo")}


def test_surround_is_kept_beside_its_stereo() -> None:
    found = made(stream(1, language="en"), stream(2, language="en", channels=6, layout="5.1(side)"))

    assert told(found) == [
        ("audio-0", 1, 2, "en", "English", True),
        ("audio-1", 2, 2, "en", "English 2", False),
        ("audio-2", 2, 6, "en", "English 2", False),
    ]
    assert (found[2].layout, found[2].kbps) == ("5.1", 384)


def test_surround_alone_gives_its_stereo_the_first_place() -> None:
    assert told(made(stream(1, channels=8, layout="7.1"))) == [
        ("audio-0", 1, 2, "und", "Original", True),
        ("audio-1", 1, 6, "und", "Original", True),
    ]


def test_few_channels_and_a_sphere_are_no_surround() -> None:
    assert len(made(stream(1, channels=1), stream(2, channels=4), stream(3, channels=16, layout="ambisonic 3"))) == 3


def test_labels_are_titles_that_a_playlist_can_hold_each_once() -> None:
    found = made(
        stream(1, title='Director\'s "cut"\n'),
        stream(2, title="  "),
        stream(3),
        stream(4, title="Original 2"),
        stream(5, title="x" * 300),
    )

    assert [one.label for one in found] == ["Director's cut", "Original", "Original 2", "Original 2 2", "x" * 60]


def test_the_one_sound_is_taken_where_no_list_was_made() -> None:
    info = MediaInfo("mov", 1, 0, None, stream(4))

    assert told(sounds(info, Fraction(10), grid(Fraction(25)))) == [("audio-0", 4, 2, "und", "Original", True)]


def test_silence_stands_where_there_is_no_sound() -> None:
    (silence,) = made()

    assert (silence.name, silence.stream, silence.channels, silence.default) == ("audio-0", None, 2, True)
