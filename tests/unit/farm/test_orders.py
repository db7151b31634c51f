"""A finished version is the same whatever order its chunks came in, and no byte of it ever changes."""

from __future__ import annotations

import asyncio
import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farm import early, publish
from farm.finalise import finalise
from shared.errors import EncodeFailed
from shared.jobs import Finished, Outline, Subtitle
from shared.storage import names
from shared.storage.memory import MemoryBucket
from tests.support import versions

PLAN = versions.planned()
VERSION = f"v/{PLAN.title}/{PLAN.version}/"


class Watched(MemoryBucket):
    """A bucket that knows what was written where, in which order."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    async def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream"):  # type: ignore[no-untyped-def]
        if key.startswith("v/"):
            self.written.append(key)
        return await super().put(key, data, content_type=content_type)

    async def published(self) -> dict[str, str]:
        return {info.key: hashlib.sha256(await self.get(info.key)).hexdigest() async for info in self.list_prefix("v/")}


async def whole(chunks: list[str], doubled: list[str]) -> tuple[dict[str, str], Finished, Watched]:
    """A version whose chunks come in that order, `doubled` ones once more as another attempt with other bytes."""
    bucket = Watched()
    await versions.order(bucket, PLAN)
    await early.publish(bucket, PLAN, job="job_1")
    before = await bucket.published()
    for chunk in chunks:
        await versions.done(bucket, PLAN, chunk)
        now = await bucket.published()
        assert before.items() <= now.items()
        before = now
        if chunk in doubled:
            await versions.done(bucket, PLAN, chunk, attempt="late")
            assert await bucket.published() == now
    made = await finalise(bucket, PLAN.title, PLAN.version)
    published = await bucket.published()
    assert before.items() <= published.items()
    for chunk in doubled:
        await versions.done(bucket, PLAN, chunk, attempt="zombie")
    assert await finalise(bucket, PLAN.title, PLAN.version) == made
    assert await bucket.published() == published
    return published, made, bucket


@settings(max_examples=60, deadline=None)
@given(st.permutations(PLAN.chunks), st.lists(st.sampled_from(PLAN.chunks), max_size=3))
def test_a_version_is_the_same_whatever_order_its_chunks_came_in(chunks: list[str], doubled: list[str]) -> None:
    published, made, bucket = asyncio.run(whole(chunks, doubled))

    assert (published, made) == asyncio.run(whole(list(PLAN.chunks), []))[:2]
    assert bucket.written[-1] == names.ready(PLAN.title, PLAN.version)


async def test_all_playlists_are_there_before_a_byte_is_made() -> None:
    bucket = Watched()
    edition, ceilings = await early.publish(bucket, PLAN, job="job_1")

    assert await early.publish(bucket, PLAN, job="job_2") == (edition, ceilings)
    assert ceilings == ("720", "480", "360", "240")
    assert set(await bucket.published()) == {
        f"{VERSION}grid.json",
        *(f"{VERSION}{name}/index.m3u8" for name in (*ceilings, "audio-0")),
        *(f"v/{PLAN.title}/e/{edition}/{ceiling}.m3u8" for ceiling in ceilings),
    }
    published = await bucket.published()
    made = await _finished(bucket)
    assert published.items() <= (await bucket.published()).items()
    assert (made.edition != edition, made.ceilings) == (True, ceilings)


async def test_a_media_playlist_that_would_change_fails_the_version() -> None:
    bucket = Watched()
    key = names.media_playlist(PLAN.title, PLAN.version, "480")
    await bucket.put(key, b"#EXTM3U\n")

    with pytest.raises(EncodeFailed, match="differs"):
        await early.publish(bucket, PLAN, job="job_1")
    with pytest.raises(EncodeFailed, match="differs"):
        await _finished(bucket)
    assert await bucket.get(key) == b"#EXTM3U\n"
    assert await bucket.head(names.ready(PLAN.title, PLAN.version)) is None


async def test_the_outline_knows_what_makes_each_segment() -> None:
    outline = early.outlined(PLAN, job="job_1")

    assert outline == Outline(
        "job_1",
        25.2,
        {"720": 7, "480": 7, "360": 7, "240": 7, "audio-0": 7},
        (("0", 0, 2), ("1", 2, 2), ("2", 4, 2), ("3", 6, 1)),
        ("audio-0",),
    )
    assert [outline.chunk_of("480", number) for number in (-1, 0, 1, 2, 6, 7)] == ["0", "0", "0", "1", "3", None]
    assert (outline.chunk_of("audio-0", 6), outline.chunk_of("1080", 0)) == ("sound", None)


async def test_subtitles_join_a_ready_version_in_an_edition_of_their_own() -> None:
    bucket = Watched()
    first = await _finished(bucket)
    before = await bucket.published()
    text = b"WEBVTT\n\n00:01.000 --> 00:02.000\nGood morning.\n"
    words = Subtitle(
        "sub_0123456789", "en", "English", "masters/ttl_1/sub_0123456789", hashlib.sha256(text).hexdigest()
    )
    await bucket.put(words.key, text)

    made = await finalise(bucket, PLAN.title, PLAN.version, words=[words])

    after = await bucket.published()
    assert before.items() <= after.items()
    assert (made.edition != first.edition, made.version) == (True, first.version)
    folder = "subs-en-23456789"
    assert set(after) - set(before) == {
        f"{VERSION}{folder}/0.vtt",
        f"{VERSION}{folder}/index.m3u8",
        *(f"v/{PLAN.title}/e/{made.edition}/{ceiling}.m3u8" for ceiling in made.ceilings),
    }
    assert b"Good morning." in await bucket.get(f"{VERSION}{folder}/0.vtt")
    top = (await bucket.get(names.multivariant(PLAN.title, made.edition, "720"))).decode()
    assert f'URI="../../{PLAN.version}/{folder}/index.m3u8"' in top
    assert await finalise(bucket, PLAN.title, PLAN.version) == first, "without subtitles it is the first edition again"
    assert await publish.ready(bucket, PLAN.title, PLAN.version) == first


async def test_subtitles_that_are_not_those_that_were_sent_are_not_published() -> None:
    bucket = Watched()
    await _finished(bucket)
    before = await bucket.published()
    words = Subtitle("sub_0123456789", "en", "English", "masters/ttl_1/sub", "00" * 32)
    await bucket.put(words.key, b"WEBVTT\n\n00:01.000 --> 00:02.000\nOther words.\n")

    with pytest.raises(EncodeFailed, match="not those"):
        await finalise(bucket, PLAN.title, PLAN.version, words=[words])
    assert await bucket.published() == before


async def _finished(bucket: Watched) -> Finished:
    await versions.order(bucket, PLAN)
    for chunk in PLAN.chunks:
        await versions.done(bucket, PLAN, chunk)
    return await finalise(bucket, PLAN.title, PLAN.version)
