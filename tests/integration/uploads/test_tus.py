"""Uploads through the API, as tus clients see them: what becomes the master, and one writer at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator

import pytest

from gateway.control.outbox import OFFER
from shared.clock import ManualClock
from shared.errors import Locked
from shared.settings import ControlSettings
from shared.storage.base import PART_MIN_BYTES
from tests.support.control import Control, running_control
from tests.support.tus import TUS, Client, assert_complete, film, folders, metadata, objects, row

# The way through


async def test_a_small_file_in_one_request_becomes_the_master(control: Control, client: Client) -> None:
    data = film(10_000)
    begun = await client.begin(len(data))
    assert begun.headers["tus-resumable"] == "1.0.0" and begun.headers["upload-offset"] == "0"
    assert "GMT" in begun.headers["upload-expires"]
    created = await control.events("upload.created")
    assert created[0]["data"]["size_bytes"] == len(data)
    assert await objects(control) == []
    answer = await client.patch(data, 0)
    assert answer.headers["upload-offset"] == str(len(data))
    await assert_complete(control, client, data)
    assert await client.offset() == len(data)


async def test_pieces_of_any_size_become_the_master(control: Control, client: Client) -> None:
    data = film(2 * PART_MIN_BYTES + 1234)
    await client.begin(len(data), about={"sha256": hashlib.sha256(data).hexdigest()})
    offset = 0
    for size in (3, 1, 5000, PART_MIN_BYTES - 5004, 1, PART_MIN_BYTES, 1232):
        await client.patch(data[offset : offset + size], offset)
        offset += size
        assert await client.offset() == offset
        stored = await row(control, client)
        assert stored["stored_bytes"] + len(stored["tail"]) == stored["offset_bytes"]
    assert offset == len(data) - 1
    assert await objects(control) == []
    await client.patch(data[offset:], offset)
    await assert_complete(control, client, data)
    assert folders(control) == []


async def test_how_a_master_is_wanted_reaches_its_job(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data), about={"mode": "per-title", "loudness": "even"}, body=data)
    assert (await control.rows("select mode, loudness from job")) == [{"mode": "per-title", "loudness": True}]
    offers = await control.rows("select data from outbox where topic = 'task' and type = $1", OFFER)
    (probe,) = offers[0]["data"]["work"].values()
    assert (probe["mode"], probe["loudness"]) == ("per-title", True)


async def test_a_file_of_whole_parts_has_no_tail(control: Control, client: Client) -> None:
    data = film(2 * PART_MIN_BYTES)
    await client.begin(len(data))
    await client.patch(data, 0)
    await assert_complete(control, client, data)


async def test_a_file_in_the_creating_request_becomes_the_master(control: Control, client: Client) -> None:
    data = film(5000)
    begun = await client.begin(len(data), body=data[:2000])
    assert begun.headers["upload-offset"] == "2000"
    await client.patch(data[2000:], 2000)
    await assert_complete(control, client, data)


async def test_a_streamed_body_without_a_length_becomes_the_master(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 70_000)

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), 65_536):
            yield data[start : start + 65_536]

    await client.begin(len(data))
    await client.patch(pieces(), 0)
    await assert_complete(control, client, data)


async def test_the_options_tell_what_is_spoken(control: Control) -> None:
    answer = await control.http.options("/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert answer.headers["tus-max-size"] == str(20 << 30)
    assert {"creation", "checksum", "termination", "expiration"} <= set(answer.headers["tus-extension"].split(","))
    assert answer.headers["tus-checksum-algorithm"] == "sha256,sha1"


async def test_head_tells_length_and_metadata_and_is_not_kept(client: Client) -> None:
    await client.begin(5000)
    answer = await client.http.head(client.at, headers=TUS)
    assert answer.headers["upload-length"] == "5000" and answer.headers["cache-control"] == "no-store"
    assert answer.headers["upload-metadata"] == metadata(title=client.title, filename="film.mp4")


# One writer


async def test_a_second_writer_is_told_to_wait(control: Control, client: Client) -> None:
    data = film(9000)
    await client.begin(len(data))
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield data[:5000]
        begun.set()
        await go_on.wait()
        yield data[5000:]

    first = asyncio.create_task(client.patch(slowly(), 0))
    await begun.wait()
    refused = await client.patch(data, 0, status=423)
    assert refused.json()["code"] == "locked"
    assert (await client.http.delete(client.at, headers=TUS)).status_code == 423
    assert await client.offset() == 0
    go_on.set()
    await first
    await assert_complete(control, client, data)


async def test_a_lock_holds_among_processes_and_ends_with_its_own(
    control: Control, settings: ControlSettings, clock: ManualClock, client: Client
) -> None:
    await client.begin(9000)
    id = client.at.rsplit("/", 1)[1]
    async with running_control(settings, clock) as other:
        holding = other.wiring["upload_locks"].hold(id)
        await holding.__aenter__()
        with pytest.raises(Locked):
            async with control.wiring["upload_locks"].hold(id):
                pass
        await client.patch(film(9000), 0, status=423)
    await client.patch(film(9000), 0)  # the other process is gone, and its connection
