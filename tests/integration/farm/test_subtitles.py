"""Subtitles of a real title: found by its playlists as a player finds them, each cue at its time, in every edition."""

from __future__ import annotations

import hashlib
import posixpath
import re
from pathlib import Path

import pytest

from shared import jobs
from shared.storage import names
from shared.subtitles import Cue, parse
from tests.support import farm as farms
from tests.support import media
from tests.support.farm import Farm, Made

SRT = b"""1
00:00:01,500 --> 00:00:03,000
<i>Good</i> morning.

2
00:00:58,000 --> 00:01:02,000
Over the border

3
00:01:03,000 --> 00:01:04,500
{\\an8}Good night & goodbye
"""
CUES = {
    Cue(1_500, 3_000, "<i>Good</i> morning."),
    Cue(58_000, 62_000, "Over the border"),
    Cue(63_000, 64_500, "Good night &amp; goodbye"),
}
GERMAN = b"WEBVTT\n\n00:02.000 --> 00:04.000\nGuten Morgen\n"


async def whole(farm: Farm) -> Made:
    """A title of 65 seconds."""
    return await farm.whole(
        media.master("minute.mp4", *media.picture("160x90", rate="5", seconds=65), *media.tone(65), *media.H264)
    )


async def sent(farm: Farm, id: str, text: bytes, *, language: str, default: bool = False) -> jobs.Subtitle:
    """Subtitles as control keeps them."""
    key = names.subtitle_source(farms.TITLE, id)
    await farm.bucket.put(key, text)
    return jobs.Subtitle(id, language, language.upper(), key, hashlib.sha256(text).hexdigest(), default)


async def edition(farm: Farm, made: Made, *subtitles: jobs.Subtitle, job: str = "job_2") -> Made:
    """Another edition of a title."""
    ticket = jobs.FinaliseTicket(job, made.plan.title, made.plan.version, subtitles)
    assert await farm.perform(ticket) == "done", (await farm.messages())[-1]
    return Made(made.plan, farm.bucket, (await farm.messages())[-1])


async def shown(farm: Farm, made: Made, language: str) -> set[Cue]:
    """The cues of a language, by way of the playlists."""
    top = names.multivariant(made.plan.title, made.ready.edition, made.ready.ceilings[0])
    text = (await farm.bucket.get(top)).decode()
    line = next(one for one in text.splitlines() if "TYPE=SUBTITLES" in one and f'LANGUAGE="{language}"' in one)
    assert all('SUBTITLES="' in one for one in text.splitlines() if one.startswith("#EXT-X-STREAM-INF"))
    index = posixpath.normpath(posixpath.join(posixpath.dirname(top), re.findall(r'URI="([^"]+)"', line)[0]))
    lines = (await farm.bucket.get(index)).decode().splitlines()
    lengths = [float(one[8:-1]) for one in lines if one.startswith("#EXTINF:")]
    assert sum(lengths) == pytest.approx(made.plan.duration_s, abs=0.001)
    pieces = [one for one in lines if not one.startswith("#")]
    found: set[Cue] = set()
    for number, name in enumerate(pieces):
        piece = await farm.bucket.get(posixpath.join(posixpath.dirname(index), name))
        assert piece.startswith(b"WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:0,LOCAL:00:00:00.000\n")
        cues = set(parse(piece)) if b"-->" in piece else set()
        start, end = sum(lengths[:number]) * 1000, sum(lengths[: number + 1]) * 1000
        assert all(cue.start_ms < end and cue.end_ms > start for cue in cues)
        found |= cues
    return found


async def test_subtitles_come_with_another_edition_and_change_no_byte(farm: Farm) -> None:
    made = await whole(farm)
    before = {key: await farm.bucket.get(key) for key in await farm.keys("v/")}

    english = await sent(farm, "sub_00000001", SRT, language="en", default=True)
    first = await edition(farm, made, english)
    german = await sent(farm, "sub_00000002", GERMAN, language="de")
    both = await edition(farm, made, english, german, job="job_3")

    assert len({one.ready.edition for one in (made, first, both)}) == 3
    assert await shown(farm, first, "en") == await shown(farm, both, "en") == CUES
    assert await shown(farm, both, "de") == {Cue(2_000, 4_000, "Guten Morgen")}
    assert {key: await farm.bucket.get(key) for key in before} == before
    none = await edition(farm, made, job="job_4")
    assert none.ready.edition == made.ready.edition


async def test_a_new_version_is_finished_with_the_subtitles_it_is_given(farm: Farm) -> None:
    master = media.master("brief.mp4", *media.picture("160x90", seconds=4), *media.H264)
    assert await farm.probe(master) == "done"
    plan = await farm.plan()
    for chunk in plan.chunks:
        assert await farm.chunk(plan, chunk) == "done"

    english = await sent(farm, "sub_00000001", SRT, language="en")
    ticket = jobs.FinaliseTicket(farms.JOB, plan.title, plan.version, (english,))
    assert await farm.perform(ticket) == "done", (await farm.messages())[-1]

    made = Made(plan, farm.bucket, (await farm.messages())[-1])
    assert await shown(farm, made, "en") == {Cue(1_500, 3_000, "<i>Good</i> morning.")}


async def test_other_bytes_than_were_sent_are_not_shown(farm: Farm, tmp_path: Path) -> None:
    made = await whole(farm)
    english = await sent(farm, "sub_00000001", SRT, language="en")
    await farm.bucket.put(english.key, GERMAN)

    ticket = jobs.FinaliseTicket("job_2", made.plan.title, made.plan.version, (english,))

    assert await farm.perform(ticket) == "failed"
    assert not [key for key in await farm.keys("v/") if "/subs-" in key]
