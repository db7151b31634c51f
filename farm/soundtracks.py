"""Which sounds a title gets. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import msgspec

from farm.grid import SOUND_FRAME, SOUND_RATE, Grid
from farm.media import MediaInfo, Sound
from farm.plan import SoundPlan
from shared import languages

#: A stream of at least so many channels is kept as 5.1 beside its stereo; bit rate of that.
SURROUND_CHANNELS, SURROUND_KBPS = 5, 384
#: What a sound is called that says neither its title nor its language.
UNNAMED = "Original"
_LABEL_LENGTH = 60


def sounds(info: MediaInfo, seconds: Fraction, on: Grid) -> tuple[SoundPlan, ...]:
    """The sounds of a title that lasts `seconds`: stereo of every stream, then 5.1 of those that have it.

    The default stream comes first, so `audio-0` is the default's stereo; both its sounds are `default`. Stereo and 5.1
    of one stream have one label, no two streams do. Silence where the master has no sound.
    """
    silence = SoundPlan(
        stream=None,
        samples=max(2 * SOUND_FRAME, round(seconds * SOUND_RATE)),
        segment_num=on.segment_s.numerator,
        segment_den=on.segment_s.denominator,
    )
    found = _ordered(info)
    if not found:
        return (silence,)
    plain = [_made(silence, sound, label) for sound, label in zip(found, _labels(found), strict=True)]
    made = [msgspec.structs.replace(first, default=not number) for number, first in enumerate(plain)]
    made += [_surround(stereo) for stereo, sound in zip(made, found, strict=True) if _is_surround(sound)]
    return tuple(msgspec.structs.replace(one, name=f"audio-{number}") for number, one in enumerate(made))


def _ordered(info: MediaInfo) -> list[Sound]:
    """All streams, the default one first."""
    found = info.sounds or ((info.sound,) if info.sound else ())
    first = info.sound.stream if info.sound else -1
    return sorted(found, key=lambda sound: (sound.stream != first, sound.stream))


def _made(silence: SoundPlan, sound: Sound, label: str) -> SoundPlan:
    language = languages.tag(sound.language)
    return msgspec.structs.replace(silence, stream=sound.stream, language=language, label=label)


def _surround(stereo: SoundPlan) -> SoundPlan:
    return msgspec.structs.replace(stereo, channels=6, layout="5.1", kbps=SURROUND_KBPS)


def _is_surround(sound: Sound) -> bool:
    return sound.channels >= SURROUND_CHANNELS and not sound.layout.startswith("ambisonic")


def _labels(found: list[Sound]) -> Iterator[str]:
    """What each is called in a menu: its title, else its language; a number where two would be called the same."""
    seen: set[str] = set()
    for sound in found:
        label = _plain(sound.title) or languages.name(languages.tag(sound.language)) or UNNAMED
        free = (f"{label} {number}" if number else label for number in (0, *range(2, len(found) + 1)))
        yield (chosen := next(one for one in free if one not in seen))
        seen.add(chosen)


def _plain(title: str) -> str:
    """A title that may stand in quotes in a playlist (RFC 8216, 4.2: no quote, no line break)."""
    return " ".join("".join(c if c.isprintable() and c != '"' else " " for c in title).split())[:_LABEL_LENGTH].strip()
