"""Uploads that were never complete: terminated, expired, swept."""

from __future__ import annotations

from gateway.control.uploads import actions
from shared.storage.base import PART_MIN_BYTES
from tests.support.control import Control
from tests.support.tus import TUS, Client, assert_complete, assert_nothing_visible, film, ports, row


async def test_a_terminated_upload_leaves_nothing(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 500)
    await client.begin(len(data))
    await client.patch(data[:-100], 0)
    answer = await client.http.delete(client.at, headers=TUS)
    assert (answer.status_code, answer.headers["tus-resumable"]) == (204, "1.0.0")
    await assert_nothing_visible(control, client)
    stored = await row(control, client)
    assert (stored["state"], stored["tail"]) == ("aborted", b"")
    assert await client.head() == 410
    await client.patch(data[-100:], len(data) - 100, status=410)
    assert (await client.http.delete(client.at, headers=TUS)).status_code == 410


async def test_a_complete_upload_is_not_terminated(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data))
    await client.patch(data, 0)
    assert (await client.http.delete(client.at, headers=TUS)).status_code == 409
    await assert_complete(control, client, data)


async def test_an_upload_nobody_went_on_with_expires_and_is_swept(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 500)
    await client.begin(len(data))
    control.clock.advance(control.settings.upload_expiry_s - 10)
    await client.patch(data[: PART_MIN_BYTES + 9], 0)  # which gives it its full time again
    control.clock.advance(control.settings.upload_expiry_s - 1)
    assert await actions.sweep(ports(control)) == 0
    assert await client.offset() == PART_MIN_BYTES + 9
    control.clock.advance(1)
    assert await client.head() == 410
    refused = await client.patch(data[PART_MIN_BYTES + 9 :], PART_MIN_BYTES + 9, status=410)
    assert refused.json()["code"] == "upload-expired"
    assert await actions.sweep(ports(control)) == 1
    await assert_nothing_visible(control, client)
    assert (await row(control, client))["state"] == "expired"
    assert [event["subject"] for event in await control.events("upload.expired")] == [client.at.rsplit("/", 1)[1]]
    assert await actions.sweep(ports(control)) == 0
    assert await client.head() == 410


async def test_an_upload_whose_parts_somebody_removed_is_gone(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 500)
    await client.begin(len(data))
    await client.patch(data[:PART_MIN_BYTES], 0)
    stored = await row(control, client)
    await control.wiring["bucket"].multipart_abort(f"masters/{client.title}/{stored['id']}", stored["multipart"])
    refused = await client.patch(data[PART_MIN_BYTES:], PART_MIN_BYTES, status=410)
    assert refused.json()["code"] == "upload-lost"
    await assert_nothing_visible(control, client)
