"""Sound is published while the rest of it is encoded, and no byte of it changes afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from farm import ahead, command, package, publish
from farm.ahead import Ahead
from farm.publish import Attempt
from shared.errors import StoreUnavailable
from shared.storage import names
from shared.storage.files import FolderBucket
from tests.support import farm as farms
from tests.support import media, versions
from tests.support.farm import Farm, Made
from tests.support.patience import until


async def test_sound_can_be_fetched_before_all_of_it_is_encoded(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "LOOK_S", 0.01)
    written: list[str] = []
    put_if_absent, put = FolderBucket.put_if_absent, FolderBucket.put

    async def noting(self: FolderBucket, key: str, data: bytes, *, content_type: str = "") -> bool:
        written.append(key)
        return await put_if_absent(self, key, data, content_type=content_type)

    async def putting(self: FolderBucket, key: str, data: bytes, *, content_type: str = ""):  # type: ignore[no-untyped-def]
        written.append(key)
        return await put(self, key, data, content_type=content_type)

    assert await farm.probe(media.master("long.flac", *media.tone(90)), kind="audio") == "done"
    plan = await farm.plan()
    monkeypatch.setattr(FolderBucket, "put_if_absent", noting)
    monkeypatch.setattr(FolderBucket, "put", putting)
    assert await farm.chunk(plan, "sound") == "done"

    first = next(at for at, key in enumerate(written) if key.startswith("work/"))
    early = [key for key in written[:first] if key.endswith(".m4s")]
    assert len(early) >= 2
    assert early == [names.segment(plan.title, plan.version, "audio-0", number=number) for number in range(len(early))]
    monkeypatch.undo()
    assert await farm.chunk(plan, "poster") == await farm.finalise(plan) == "done"
    made = Made(plan, farm.bucket, (await farm.messages())[-1])
    assert sum(frame.samples for frame in (await made.track("audio-0")).decoded()) >= 90 * 48000


async def test_what_a_cut_file_holds_is_the_beginning_of_the_whole(tmp_path: Path) -> None:
    """Cut anywhere, as a file is that still grows."""
    plan = versions.planned(segments=9)
    master = media.master("ahead.mp4", *media.picture(seconds=33.2), *media.tone(33.2), *media.H264)
    bench = command.Bench(media.WHEEL, master, tmp_path, 1)
    encoding = await asyncio.create_subprocess_exec(*command.sound(plan, bench), stdout=asyncio.subprocess.DEVNULL)
    assert await encoding.wait() == 0
    whole = (tmp_path / "audio-0.mp4").read_bytes()
    expected = [
        piece.data for piece in package.sound(tmp_path / "audio-0.mp4", plan.sound.samples, plan.sound.segment_s)
    ]
    bucket = FolderBucket(tmp_path / "bucket")
    growing = Ahead(plan, tmp_path / "growing", Attempt(bucket, plan.version, "sound", "a"))
    (tmp_path / "growing").mkdir()
    counts = []
    for size in [0, 10, 500, *range(1000, len(whole), 7919), len(whole)]:
        (tmp_path / "growing" / "audio-0.mp4").write_bytes(whole[:size])
        counts.append(await growing.publish(plan.sound))
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (0, len(expected))
    assert len(set(counts)) > 3
    base = f"{names.version_prefix(plan.title, plan.version)}audio-0/"
    assert [await bucket.get(f"{base}init.mp4")] == expected[:1]
    assert [await bucket.get(f"{base}0/{number}.m4s") for number in range(9)] == expected[1:]


async def test_others_go_on_while_what_is_published_is_passed_over(tmp_path: Path) -> None:
    """A lease is to be renewed meanwhile, and ffmpeg watched."""
    plan, bucket = versions.planned(segments=9), FolderBucket(tmp_path / "bucket")
    master = media.master("ahead.mp4", *media.picture(seconds=33.2), *media.tone(33.2), *media.H264)
    encoding = await asyncio.create_subprocess_exec(
        *command.sound(plan, command.Bench(media.WHEEL, master, tmp_path, 1))
    )
    assert await encoding.wait() == 0
    growing = Ahead(plan, tmp_path, Attempt(bucket, plan.version, "sound", "a"))
    assert await growing.publish(plan.sound) == 10
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    assert await growing.publish(plan.sound) == 10
    beside.cancel()
    assert turns >= 9


async def test_an_attempt_adopts_what_another_build_published(farm: Farm) -> None:
    assert await farm.probe(media.plain()) == "done"
    plan = await farm.plan()
    key = names.segment(plan.title, plan.version, "audio-0", number=0)
    assert await farm.chunk(plan, "sound") == "done"
    other = (await farm.bucket.get(key)) + b"\0\0\0\x08free"
    again = await farms.in_pieces(farm, plan, segments=1)
    elsewhere = names.segment(again.title, again.version, "audio-0", number=0)
    await farm.bucket.put(elsewhere, other)

    for chunk in again.chunks:
        assert await farm.chunk(again, chunk) == "done"
    assert await farm.finalise(again) == "done"

    assert await farm.bucket.get(elsewhere) == other
    marker = await publish.marker(farm.bucket, again.version, "sound")
    assert marker is not None
    sizes = {made.name: made.size_bytes for made in marker.objects}
    assert sizes["audio-0/0/0.m4s"] == len(other) == marker.tracks[0].sizes[0]


class Refusing(FolderBucket):
    """A bucket that refuses the first object."""

    refused = False

    async def put_if_absent(self, key: str, data: bytes, *, content_type: str = "") -> bool:
        if not self.refused:
            self.refused = True
            raise StoreUnavailable
        return await super().put_if_absent(key, data, content_type=content_type)


async def test_sound_is_published_ahead_though_the_bucket_refused_some_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ahead, "LOOK_S", 0.01)
    plan, bucket = versions.planned(segments=9), Refusing(tmp_path / "bucket")
    master = media.master("ahead.mp4", *media.picture(seconds=33.2), *media.tone(33.2), *media.H264)
    encoding = await asyncio.create_subprocess_exec(
        *command.sound(plan, command.Bench(media.WHEEL, master, tmp_path, 1))
    )
    assert await encoding.wait() == 0
    growing = Ahead(plan, tmp_path, Attempt(bucket, plan.version, "sound", "a"))
    growing.encoded_s = 33.2
    last = names.segment(plan.title, plan.version, "audio-0", number=8)

    publishing = asyncio.create_task(growing.run())
    await until(lambda: bucket.head(last), within_s=20)
    publishing.cancel()
    assert bucket.refused
