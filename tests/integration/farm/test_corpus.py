"""Hostile and broken masters, examined by the farm's own process under tight limits: taken or refused, soon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from farm import prober
from farm.media import MediaInfo
from shared import jobs
from shared.errors import MasterRejected
from tests.support import corpus
from tests.support.farm import Farm

#: Far below what a worker allows: what takes more is not bounded by rule.
TIGHT = msgspec.structs.replace(prober.LIMITS, deadline_s=30, memory_bytes=1 << 30)


async def look(master: Path, folder: Path) -> MediaInfo | MasterRejected:
    """What the process finds; any other end is an error."""
    try:
        return await prober.look(master, folder, sound_only=False, limits=TIGHT)
    except MasterRejected as refused:
        assert refused.code and str(refused).endswith((".", "?")), str(refused)
        return refused


@pytest.mark.parametrize("container", ["mp4", "mkv"])
async def test_a_file_cut_anywhere_is_refused_or_made(farm: Farm, tmp_path: Path, container: str) -> None:
    for place in range(20):
        master = corpus.cut(container, (place + 0.5) / 20)
        found = await look(master, tmp_path)

        if isinstance(found, MediaInfo):
            assert container == "mkv" and found.picture and found.picture.end_s > 1
            assert await corpus.through(farm, master) == "ready"
        else:
            assert found.code in {"truncated", "unreadable", "no-media", "no-frames", "undecodable"}


REFUSED: dict[str, tuple[Callable[[], Path], str, str]] = {
    "0 a second": (corpus.no_pace, "no-rate", "0 frames a second"),
    "1000 a second": (corpus.thousand_a_second, "absurd", "1000 frames a second; at most 500"),
    "samples behind the end": (corpus.beyond_its_end, "truncated", "cut off"),
    "16384x16384": (corpus.vast, "absurd", "absurd size; each side must be 16 to 8192"),
    "10,000 tracks": (lambda: corpus.many_tracks(10_000), "too-many-streams", "10002 streams; at most 64"),
    "10,000 streams": (lambda: corpus.many_streams(10_000), "too-many-streams", "more than 64 streams"),
    "samples in another file": (corpus.elsewhere, "elsewhere", "names another"),
    "no picture": (corpus.without_pictures, "no-frames", "not one picture in it"),
    "no time": (corpus.without_sound, "no-duration", "lasts any time"),
    "an attachment alone": (lambda: corpus.with_attachment(alone=True), "no-media", "no picture and no sound"),
}


@pytest.mark.parametrize(("make", "code", "words"), REFUSED.values(), ids=REFUSED)
async def test_what_cannot_be_is_refused_in_words(
    tmp_path: Path, make: Callable[[], Path], code: str, words: str
) -> None:
    found = await look(make(), tmp_path)

    assert isinstance(found, MasterRejected), found
    assert (found.code, words in str(found)) == (code, True), str(found)


@pytest.mark.parametrize("name", corpus.TRICKS)
async def test_nothing_that_names_another_file_is_followed(tmp_path: Path, name: str) -> None:
    found = await look(corpus.trick(name), tmp_path)

    assert isinstance(found, MasterRejected), found
    assert "passwd" not in str(found)


@pytest.mark.parametrize("make", [corpus.zip_bomb, corpus.hollow], ids=["a bomb", "half of it nothing"])
async def test_what_cannot_be_made_ends_in_words_and_shows_nothing(
    farm: Farm, tmp_path: Path, make: Callable[[], Path]
) -> None:
    await look(make(), tmp_path)

    assert await corpus.through(farm, make()) in ("refused", "failed")


async def test_an_attachment_is_left_out(farm: Farm) -> None:
    made = await farm.whole(corpus.with_attachment(alone=False))

    assert made.plan.picture.frames == 50


@pytest.mark.parametrize("seconds", [0, 1, 3 * 3600])
async def test_a_wrong_length_in_the_headers_does_not_make_a_longer_title(farm: Farm, seconds: int) -> None:
    await farm.probe(corpus.lasting(seconds))
    last = (await farm.messages())[-1]

    if isinstance(last, jobs.Failed):
        assert last.final and last.words
    else:
        assert (await farm.plan()).duration_s == pytest.approx(2, abs=0.1)
