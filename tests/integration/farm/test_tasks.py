"""Tickets that come twice, workers that die, masters that fail: the result is one, and the truth is in the bucket."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import NoReturn

import msgspec
import pytest
from redis.asyncio import Redis

from farm import publish
from farm.masters import Masters
from farm.plan import Plan
from shared import jobs
from shared.errors import StoreUnavailable
from shared.need import LEASES, Offer
from shared.storage import ObjectInfo, names
from shared.storage.files import FolderBucket
from tests.support import farm as farms
from tests.support import media
from tests.support.edge import until
from tests.support.farm import JOB, TITLE, Farm
from tests.support.patience import written
from tests.support.valkey import Valkey

UNREACHABLE = "redis://127.0.0.1:1/0"


def fake(folder: Path, body: str) -> str:
    """A fake ffmpeg."""
    path = folder / "fake-ffmpeg"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


async def content(farm: Farm, prefix: str) -> dict[str, bytes]:
    return {key: await farm.bucket.get(key) for key in await farm.keys(prefix)}


async def planned(farm: Farm) -> Plan:
    assert await farm.probe(media.plain()) == "done"
    return await farm.plan()


async def test_a_chunk_twice_gives_the_same_bytes_and_one_marker(farm: Farm) -> None:
    plan = await planned(farm)
    await farm.chunk(plan, "0")
    first = await content(farm, "v/")
    won = await publish.marker(farm.bucket, plan.version, "0")
    await farm.bucket.delete([names.done(plan.version, "0")])
    await farm.chunk(plan, "0")
    again = await publish.marker(farm.bucket, plan.version, "0")

    assert await content(farm, "v/") == first
    assert won is not None
    assert again is not None
    assert won.objects == again.objects
    assert won.attempt != again.attempt


async def test_two_workers_at_one_chunk_make_one_result(farm: Farm) -> None:
    plan = await planned(farm)
    writing = [publish.Attempt(farm.bucket, plan.version, "0", name) for name in ("a", "b")]

    won = await asyncio.gather(*(attempt.win() for attempt in writing))

    assert won[0] == won[1]
    assert won[0].attempt in ("a", "b")


async def test_a_ticket_for_a_finished_chunk_only_says_so(farm: Farm) -> None:
    plan = await planned(farm)
    await farm.chunk(plan, "sound")
    before = await content(farm, "work/")

    assert await farm.chunk(plan, "sound") == "done"

    assert await content(farm, "work/") == before
    kinds = Counter((type(message).__name__, getattr(message, "chunk", "")) for message in await farm.messages())
    assert (kinds["Started", "sound"], kinds["ChunkDone", "sound"]) == (1, 2)


async def test_the_most_wanted_piece_is_taken_and_let_go_of_when_it_is_done(farm: Farm) -> None:
    plan = await planned(farm)
    await farm.offer(plan, "sound", "poster")

    assert [await farm.next() for _ in range(3)] == ["done", "done", "idle"]

    done = [message.chunk for message in await farm.messages() if isinstance(message, jobs.ChunkDone)]
    assert done == ["sound", "poster"]
    assert await farm.on.needs.owners() == {}


async def test_a_cordoned_worker_takes_nothing(farm: Farm) -> None:
    plan = await planned(farm)
    await farm.offer(plan, "sound")
    await farm.on.needs.cordon("w", "cordon")

    assert await farm.next("w") == "idle"
    assert await farm.next("other") == "done"


async def test_work_that_needs_more_memory_than_there_is_is_left_to_others(farm: Farm) -> None:
    plan = await planned(farm)
    ticket: dict[str, jobs.Ticket] = {"sound": jobs.ChunkTicket(JOB, TITLE, plan.version, "sound")}
    await farm.on.needs.offer(Offer(plan.version, "cpu", "s", 1 << 62, 1.0, 0, ticket, {"sound": 1.0}))

    assert await farm.next() == "idle"


async def test_finalise_twice_changes_nothing_and_says_ready_again(farm: Farm) -> None:
    made = await farm.whole(media.plain())
    first = await content(farm, "v/")

    assert await farm.finalise(made.plan) == "done"

    assert await content(farm, "v/") == first
    ready = [message for message in await farm.messages() if isinstance(message, jobs.Ready)]
    assert ready == [made.ready, made.ready]
    kept = await farm.bucket.get(names.ready_message(made.plan.version, JOB))
    assert msgspec.json.decode(kept, type=jobs.Message) == made.ready


async def test_finalise_before_all_markers_are_there_publishes_nothing(farm: Farm) -> None:
    plan = await planned(farm)
    await farm.chunk(plan, "0")
    before = await content(farm, "v/")

    assert await farm.finalise(plan) == "failed"

    last = (await farm.messages())[-1]
    assert isinstance(last, jobs.Failed)
    assert (last.chunk, last.code, last.final) == ("final", "chunks-missing", False)
    assert await content(farm, "v/") == before


async def test_finalise_copies_what_a_dead_worker_left_out(farm: Farm) -> None:
    plan = await planned(farm)
    for chunk in plan.chunks:
        await farm.chunk(plan, chunk)
    lost = names.segment(TITLE, plan.version, "240", number=1)
    kept = await farm.bucket.get(lost)
    await farm.bucket.delete([lost])

    assert await farm.finalise(plan) == "done"

    assert await farm.bucket.get(lost) == kept


async def test_chunks_made_in_different_ways_are_not_joined(farm: Farm) -> None:
    plan = await farms.in_pieces(farm, await planned(farm), segments=1)
    for chunk in plan.chunks:
        await farm.chunk(plan, chunk)
    done = await publish.marker(farm.bucket, plan.version, "1")
    assert done is not None
    other = tuple(
        msgspec.structs.replace(made, sha256="0" * 64) if made.name == "240/init.mp4" else made for made in done.objects
    )
    await farm.bucket.put(
        names.done(plan.version, "1"), msgspec.json.encode(msgspec.structs.replace(done, objects=other))
    )

    assert await farm.finalise(plan) == "failed"

    last = (await farm.messages())[-1]
    assert isinstance(last, jobs.Failed)
    assert last.code == "inits-differ"


async def test_a_probe_is_told_before_the_master_is_fetched(farm: Farm, monkeypatch: pytest.MonkeyPatch) -> None:
    def dies(*_: object, **__: object) -> NoReturn:
        raise SystemExit

    monkeypatch.setattr(Masters, "local", dies)
    with pytest.raises(SystemExit):
        await farm.probe(media.plain())

    (told,) = await farm.messages()
    assert isinstance(told, jobs.Started) and (told.job, told.chunk) == (JOB, "probe")


async def test_a_master_sent_again_is_ready_at_once(farm: Farm) -> None:
    made = await farm.whole(media.plain())

    assert await farm.probe(media.plain()) == "done"

    again = (await farm.messages())[-2:]
    assert isinstance(again[0], jobs.Planned)
    assert again[1] == made.ready


async def test_progress_grows_for_every_rendition_and_ends_at_one(farm: Farm) -> None:
    master = media.master("twelve.mp4", *media.picture("640x360", seconds=12), *media.tone(12), *media.H264)
    await farm.whole(master)

    seen = [message for message in await farm.messages() if isinstance(message, jobs.Progress)]
    for chunk, name in (("0", "360"), ("0", "240"), ("1", "360"), ("1", "240"), ("sound", "audio-0")):
        fractions = [message.renditions[name] for message in seen if message.chunk == chunk]
        assert fractions == sorted(fractions)
        assert fractions[-1] == 1.0


async def test_a_killed_ffmpeg_is_a_failure_that_is_not_final(tmp_path: Path, redis_url: str) -> None:
    ffmpeg = fake(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        plan = await planned(farm)
        working = asyncio.create_task(farm.chunk(plan, "0"))
        await written(tmp_path / "pid")
        os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

        assert await working == "failed"

        last = (await farm.messages())[-1]
        assert isinstance(last, jobs.Failed)
        assert (last.chunk, last.final) == ("0", False)
        assert "SIGKILL" in last.words
        assert list((tmp_path / "scratch" / "chunks").iterdir()) == []


async def test_a_hanging_ffmpeg_is_told_as_stalled(tmp_path: Path, redis_url: str) -> None:
    async with farms.farm(tmp_path, redis_url, ffmpeg=fake(tmp_path, "exec sleep 600"), stall_s=1) as farm:
        plan = await planned(farm)

        assert await farm.chunk(plan, "sound") == "failed"

        last = (await farm.messages())[-1]
        assert isinstance(last, jobs.Failed)
        assert (last.code, last.final) == ("stalled", False)


async def test_a_lease_lives_as_long_as_the_work_and_goes_back_when_it_is_stopped(
    tmp_path: Path, redis_url: str
) -> None:
    ffmpeg = fake(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg, lease_s=8) as farm:
        plan = await planned(farm)
        await farm.offer(plan, "0")
        working = asyncio.create_task(farm.next())
        await written(tmp_path / "pid")
        ends = float(await farm.on.redis.zscore(LEASES, f"{plan.version} 0") or 0)

        async def renewed() -> bool:
            assert await farm.on.needs.reclaim() == []
            assert await farm.on.needs.leased([f"{plan.version} 0"]) == {f"{plan.version} 0": True}
            return float(await farm.on.redis.zscore(LEASES, f"{plan.version} 0") or 0) > ends

        await until(renewed)
        farm.stop.set()

        assert await working == "again"
        assert isinstance((await farm.messages())[-1], jobs.GivenBack)
        assert await farm.on.needs.owners() == {}
        assert await farm.on.needs.take("x/1", ("cpu",), memory_bytes=1 << 40) is not None


async def test_work_is_left_for_later_and_does_not_count_when_the_bucket_is_away(
    farm: Farm, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = await planned(farm)
    await farm.offer(plan, "sound")

    async def away(*_: object) -> NoReturn:
        raise StoreUnavailable

    monkeypatch.setattr(publish, "order", away)

    assert await farm.next() == "later"
    assert isinstance((await farm.messages())[-1], jobs.GivenBack)
    assert await farm.on.needs.held([f"{plan.version} sound"]) == {f"{plan.version} sound": False}


async def test_who_lost_the_lease_stops_and_says_nothing(tmp_path: Path, redis_url: str) -> None:
    ffmpeg = fake(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg, lease_s=1) as farm:
        plan = await planned(farm)
        await farm.offer(plan, "0")
        working = asyncio.create_task(farm.next())
        await written(tmp_path / "pid")
        work = f"{plan.version} 0"

        async def lost() -> bool:
            # It may renew the lease between our words to Redis: then once more.
            await farm.on.redis.zadd(LEASES, {work: 1}, xx=True)
            await farm.on.needs.reclaim()
            return await farm.on.needs.take("other/1", ("cpu",), memory_bytes=1 << 40) is not None

        await until(lost)
        assert await asyncio.wait_for(working, 60) == "elsewhere"
        assert await farm.on.needs.owners() == {work: "other/1"}
        told = [message for message in await farm.messages() if isinstance(message, jobs.Failed | jobs.GivenBack)]
        assert told == []


async def test_the_cancel_key_stops_the_work(tmp_path: Path, redis_url: str) -> None:
    ffmpeg = fake(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    async with farms.farm(tmp_path, redis_url, ffmpeg=ffmpeg) as farm:
        plan = await planned(farm)
        working = asyncio.create_task(farm.chunk(plan, "0"))
        await written(tmp_path / "pid")
        await farm.on.redis.set(jobs.cancel_key(JOB), "1")

        assert await asyncio.wait_for(working, 60) == "cancelled"
        assert not [message for message in await farm.messages() if isinstance(message, jobs.Failed)]


async def test_the_work_goes_on_without_redis(tmp_path: Path, redis_url: str) -> None:
    async with farms.farm(tmp_path, redis_url) as farm:
        plan = await planned(farm)
    async with farms.farm(tmp_path, UNREACHABLE) as farm:
        for chunk in plan.chunks:
            assert await farm.chunk(plan, chunk) == "done"
        assert await farm.finalise(plan) == "done"
        assert await publish.ready(farm.bucket, TITLE, plan.version) is not None


async def test_redis_that_dies_during_the_work_stops_nothing(
    tmp_path: Path, valkey_server: Valkey, redis: Redis
) -> None:
    ffmpeg = fake(
        tmp_path,
        f'echo $$ > {tmp_path}/pid; while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; exec {media.WHEEL} "$@"',
    )
    async with farms.farm(tmp_path, valkey_server.url, ffmpeg=ffmpeg) as farm:
        plan = await planned(farm)
        working = asyncio.create_task(farm.chunk(plan, "0"))
        await written(tmp_path / "pid")
        valkey_server.kill()
        try:
            (tmp_path / "go").touch()
            assert await working == "done"
        finally:
            valkey_server.start()
        assert await publish.marker(farm.bucket, plan.version, "0") is not None


async def test_a_master_is_fetched_once_for_many_and_makes_room(tmp_path: Path) -> None:
    fetched: list[str] = []

    class Counting(FolderBucket):
        async def fetch(self, key: str, path: Path) -> ObjectInfo:
            fetched.append(key)
            await asyncio.sleep(0.05)
            return await super().fetch(key, path)

    bucket = Counting(tmp_path / "bucket")
    for name in "abc":
        await bucket.put(f"masters/t/{name}", name.encode() * 1000)
    masters = Masters(tmp_path / "kept", quota_bytes=2500)

    async def read(name: str) -> bytes:
        async with masters.local(bucket, f"masters/t/{name}") as path:
            return path.read_bytes()[:1]

    assert set(await asyncio.gather(*(read("a") for _ in range(5)))) == {b"a"}
    assert fetched == ["masters/t/a"]
    assert await read("b") == b"b"
    async with masters.local(bucket, "masters/t/b"):
        assert await read("c") == b"c"

    kept = sorted(path.read_bytes()[:1] for path in (tmp_path / "kept").iterdir() if path.suffix == "")
    assert kept == [b"b", b"c"]
    masters.drop("masters/t/b")
    assert len([path for path in (tmp_path / "kept").iterdir() if path.suffix == ""]) == 1


async def test_what_a_killed_worker_left_behind_is_removed(tmp_path: Path, redis_url: str) -> None:
    kept, now = tmp_path / "kept", time.time()
    bucket, masters = FolderBucket(tmp_path / "bucket"), Masters(kept, quota_bytes=2500)
    await bucket.put("masters/t/a", b"a")
    left, fetching = kept / f".{'0' * 32}.0123", kept / f".{'1' * 32}.4567"
    for path in (left, fetching):
        path.write_bytes(b"part of a master")
    with (kept / f"{'1' * 32}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        async with masters.local(bucket, "masters/t/a"):
            assert (left.exists(), fetching.exists()) == (False, True)
    async with farms.farm(tmp_path, redis_url) as farm:
        plan = await planned(farm)
        old = farm.on.settings.scratch_dir.absolute() / "chunks" / "tmp_old"
        old.mkdir(parents=True)
        os.utime(old, (now - 7200, now - 7200))
        assert await farm.chunk(plan, "poster") == "done"
        assert not old.exists()
