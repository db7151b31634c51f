"""Editions: the multivariant playlists (RFC 8216bis) of a version, and what a player is told to choose by. Pure.

Relative, and the same bytes for every viewer of a ceiling. Sounds of equally many channels are a group; each group
holds every sound once, in as many channels as the group has or else the next fewer (4.4.6.1.1).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from farm.plan import Plan, SoundPlan
from shared.jobs import Subtitle
from shared.ladder import AUDIO_CEILING, Rendition
from shared.storage import names

#: The multivariant playlist starts with the highest rendition up to this, so that native players begin modestly.
FIRST_HEIGHT: Final = 720
_HEAD: Final = ("#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-INDEPENDENT-SEGMENTS")
_SUBTITLES: Final = "subtitles"
#: A language as players understand it (RFC 5646), as far as such tags are simple.
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*\Z")
_UNKNOWN: Final = "und"


class Rate(msgspec.Struct, frozen=True):
    """What a rendition asks of a player: its codec (RFC 6381), and bits a second at most and on average."""

    codec: str
    peak_bps: int
    average_bps: int


class Edition(msgspec.Struct, frozen=True):
    """Media playlists by rendition, and multivariant playlists by ceiling, highest first."""

    indexes: dict[str, str]
    tops: dict[str, str]

    @property
    def name(self) -> str:
        """The hash of its playlists."""
        texts = msgspec.json.encode((self.indexes, self.tops), order="deterministic")
        return hashlib.sha256(texts).hexdigest()[:32]


def ceilings(plan: Plan, rates: Mapping[str, Rate], subtitles: Sequence[Subtitle] = ()) -> dict[str, str]:
    """All multivariant playlists by ceiling, highest first. `rates` are by rendition."""
    pictures = plan.video.renditions if plan.video else ()
    if not pictures:
        return {AUDIO_CEILING: multivariant(plan, (), rates, subtitles=subtitles)}
    return {
        top.name: multivariant(plan, pictures[number:], rates, subtitles=subtitles)
        for number, top in enumerate(pictures)
    }


def multivariant(
    plan: Plan, pictures: Sequence[Rendition], rates: Mapping[str, Rate], *, subtitles: Sequence[Subtitle] = ()
) -> str:
    """The playlist of a ceiling: those `pictures` (none for sound alone), with all sounds and subtitles."""
    version, groups = plan.version, _groups(plan.sounds)
    lines = [*_HEAD]
    more = f',SUBTITLES="{_SUBTITLES}"' if subtitles else ""
    lines += _words(version, subtitles)
    if not pictures and len(plan.sounds) == 1:
        return _text([*lines, *_variant([rates[plan.sound.name]], more), _link(version, plan.sound.name)])
    for group, sounds in groups.items():
        lines += _group(version, group, sounds)
    # The same with every group: players then take the variants of a picture for one quality with several sounds.
    loudest = max((rates[sound.name] for sound in plan.sounds), key=lambda rate: rate.peak_bps)
    for group, sounds in groups.items():
        chosen = f',AUDIO="{group}"{more}'
        if not pictures:
            lines += [*_variant([loudest], chosen), _link(version, sounds[0].name)]
        for picture in _ordered(pictures):
            seen = f",RESOLUTION={picture.width}x{picture.height},FRAME-RATE={float(plan.picture.grid.rate):.3f}"
            lines += [*_variant([rates[picture.name], loudest], seen + chosen), _link(version, picture.name)]
    return _text(lines)


def _variant(rates: Sequence[Rate], more: str) -> list[str]:
    peak, average = sum(rate.peak_bps for rate in rates), sum(rate.average_bps for rate in rates)
    codecs = ",".join(rate.codec for rate in rates)
    return [f'#EXT-X-STREAM-INF:BANDWIDTH={peak},AVERAGE-BANDWIDTH={average},CODECS="{codecs}"{more}']


def _groups(sounds: Sequence[SoundPlan]) -> dict[str, list[SoundPlan]]:
    """The groups by name, fewest channels first; in each all streams in the order of `sounds`."""
    streams: dict[int | None, list[SoundPlan]] = {}
    for sound in sounds:
        streams.setdefault(sound.stream, []).append(sound)
    return {
        f"sound-{channels}": [_nearest(made, channels) for made in streams.values()]
        for channels in sorted({sound.channels for sound in sounds})
    }


def _nearest(made: Sequence[SoundPlan], channels: int) -> SoundPlan:
    """The sound of one stream that goes into a group of so many channels."""
    fitting = [sound for sound in made if sound.channels <= channels]
    return max(fitting, key=lambda sound: sound.channels) if fitting else min(made, key=lambda sound: sound.channels)


def _group(version: str, group: str, sounds: Sequence[SoundPlan]) -> Iterator[str]:
    """Its sounds; the first plays unless another is chosen, of each language the first is chosen by language."""
    languages: set[str] = set()
    for number, (sound, name) in enumerate(zip(sounds, _names(sound.label for sound in sounds), strict=True)):
        yield (
            f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="{group}",{_called(name, sound.language)},'
            f"DEFAULT={_yes(number == 0)},AUTOSELECT={_yes(number == 0 or sound.language not in languages)},"
            f'CHANNELS="{sound.channels}",URI="{_link(version, sound.name)}"'
        )
        languages.add(sound.language)


def _words(version: str, subtitles: Sequence[Subtitle]) -> Iterator[str]:
    """The subtitles; at most one is shown unless another is chosen."""
    default = next((words for words in subtitles if words.default), None)
    known: set[tuple[str, bool]] = set()
    for words, name in zip(subtitles, _names(words.label for words in subtitles), strict=True):
        kind = (words.language, words.forced)
        yield (
            f'#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="{_SUBTITLES}",{_called(name, words.language)},'
            f"DEFAULT={_yes(words is default)},AUTOSELECT={_yes(words is default or kind not in known)},"
            f"FORCED={_yes(words.forced)},"
            f'URI="{_link(version, names.subtitle_rendition(words.language, words.id))}"'
        )
        known.add(kind)


def _called(name: str, language: str) -> str:
    known = language != _UNKNOWN and _LANGUAGE.match(language)
    return f'NAME="{name}"' + (f',LANGUAGE="{language}"' if known else "")


def _names(labels: Iterator[str]) -> Iterator[str]:
    """Labels as quoted strings may hold them (4.2), each once in its group: a number where two would be the same."""
    seen: set[str] = set()
    for label in labels:
        plain = " ".join("".join(c if c.isprintable() and c != '"' else " " for c in label).split()) or "Original"
        name = next(name for name in (plain, *(f"{plain} {more}" for more in range(2, 1000))) if name not in seen)
        seen.add(name)
        yield name


def _ordered(pictures: Sequence[Rendition]) -> list[Rendition]:
    if not pictures:
        return []
    first = next((picture for picture in pictures if int(picture.name) <= FIRST_HEIGHT), pictures[-1])
    return [first, *(picture for picture in pictures if picture is not first)]


def _link(version: str, rendition: str) -> str:
    return f"../../{version}/{rendition}/index.m3u8"


def _yes(is_so: bool) -> str:
    return "YES" if is_so else "NO"


def _text(lines: Sequence[str]) -> str:
    return "\n".join(lines) + "\n"
