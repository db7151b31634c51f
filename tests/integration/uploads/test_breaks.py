"""Uploads that break off: what is kept, and how they go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from gateway.control.outbox import OFFER
from gateway.control.uploads import actions, routes
from shared.clock import ManualClock
from shared.settings import ControlSettings
from shared.storage.base import PART_MIN_BYTES
from tests.support import s3
from tests.support.control import Control, log_in, running_control
from tests.support.titles import desk
from tests.support.tus import Client, assert_complete, broken_patch, digest, film, ports


async def test_what_came_before_a_break_is_kept(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 50_000)
    await client.begin(len(data))
    await broken_patch(client, data[: PART_MIN_BYTES + 20_000], size=len(data))
    assert await client.offset() == PART_MIN_BYTES + 20_000
    await client.patch(data[PART_MIN_BYTES + 20_000 :], PART_MIN_BYTES + 20_000)
    await assert_complete(control, client, data)


async def test_a_client_that_falls_silent_loses_the_lock_and_no_byte(
    control: Control, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "SILENCE_S", 0.05)
    data = film(9000)
    await client.begin(len(data))

    async def silent() -> AsyncIterator[bytes]:
        yield data[:5000]
        await asyncio.Event().wait()

    answer = await asyncio.wait_for(client.patch(silent(), 0), 60)
    assert answer.headers["upload-offset"] == "5000"
    await client.patch(data[5000:], 5000)
    await assert_complete(control, client, data)


async def test_an_upload_goes_on_after_control_died_in_the_middle(
    settings: ControlSettings, clock: ManualClock
) -> None:
    data = film(2 * PART_MIN_BYTES + 9000)
    async with running_control(settings, clock) as first:
        seller = await desk(first)
        client = Client(seller.http, (await seller.title())["id"])
        await client.begin(len(data))
        await client.patch(data[:1000], 0)
        reached = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield data[1000 : PART_MIN_BYTES + 500]
            yield data[PART_MIN_BYTES + 500 : PART_MIN_BYTES + 800]  # in memory only when the end comes
            reached.set()
            await asyncio.Event().wait()

        request = asyncio.create_task(client.patch(pieces(), 1000))
        await reached.wait()
        request.cancel()
        await asyncio.gather(request, return_exceptions=True)
    async with running_control(settings, clock) as second:
        http = second.browser()
        await log_in(http, "studio")
        client.http = http
        offset = await client.offset()
        assert offset == PART_MIN_BYTES + 500
        await client.patch(data[offset:], offset)
        await assert_complete(second, client, data)


@pytest.mark.parametrize("how", ["head", "patch", "sweep"])
async def test_an_upload_whose_process_died_at_the_end_is_completed_once(
    control: Control, client: Client, how: str
) -> None:
    data = film(7000)
    await client.begin(len(data))
    await client.patch(data, 0)
    # As a process leaves it that died after the object appeared and before the row changed.
    async with control.wiring["pool"].acquire() as connection:
        await connection.execute(
            "update upload set state = 'open', sha256 = null, completed_at = null, tail = $1", data
        )
        await connection.execute("delete from job")
        await connection.execute("delete from outbox where type = any($1)", ["upload.completed", OFFER])
        await connection.execute("update title set state = 'draft'")
    if how == "head":
        assert await client.offset() == len(data)
    elif how == "patch":
        await client.patch(b"", len(data))
    else:
        assert await actions.sweep(ports(control)) == 1
    await assert_complete(control, client, data)
    assert await client.offset() == len(data)
    assert await actions.sweep(ports(control)) == 0
    assert len(await control.rows("select id from job")) == 1


async def test_bytes_sent_twice_count_once(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 10)
    await client.begin(len(data))
    await client.patch(data[:PART_MIN_BYTES], 0)
    # As a process leaves it that died after the part went to the bucket and before the row changed.
    async with control.wiring["pool"].acquire() as connection:
        await connection.execute("update upload set offset_bytes = 0, stored_bytes = 0")
    await client.patch(data[:PART_MIN_BYTES], 0)
    await client.patch(data[PART_MIN_BYTES:], PART_MIN_BYTES)
    await assert_complete(control, client, data)


async def test_the_picture_is_the_same_on_s3(settings: ControlSettings, clock: ManualClock, tmp_path: Path) -> None:
    data = film(PART_MIN_BYTES + 9000)
    with s3.moto(tmp_path) as server:
        await server.make_bucket("usher")
        on_s3 = msgspec.structs.replace(
            settings,
            bucket="s3://usher",
            s3_endpoint=server.endpoint,
            s3_access_key=server.access_key,
            s3_secret_key=server.secret_key,
        )
        async with running_control(on_s3, clock) as control:
            seller = await desk(control)
            client = Client(seller.http, (await seller.title())["id"])
            await client.begin(len(data))
            await client.patch(data[:PART_MIN_BYTES], 0)
            await client.patch(data[PART_MIN_BYTES:], PART_MIN_BYTES, Upload_Checksum=digest(data[PART_MIN_BYTES:]))
            await assert_complete(control, client, data)
