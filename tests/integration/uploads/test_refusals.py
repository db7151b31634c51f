"""Uploads that are refused, with the words a tus client gets."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator

import pytest

from shared.storage.base import PART_MIN_BYTES
from tests.support.control import Control
from tests.support.titles import Desk
from tests.support.tus import (
    MIB,
    TUS,
    Client,
    assert_complete,
    assert_nothing_visible,
    broken_patch,
    digest,
    film,
    metadata,
)


async def test_another_version_of_tus_is_refused(client: Client) -> None:
    await client.begin(5000)
    for headers in ({}, {"Tus-Resumable": "0.2.2"}, {"Tus-Resumable": "2.0.0"}):
        for method, path in (("POST", "/v1/uploads"), ("HEAD", client.at), ("PATCH", client.at), ("DELETE", client.at)):
            answer = await client.http.request(method, path, headers=headers)
            assert answer.status_code == 412, method
            assert answer.headers["tus-version"] == "1.0.0"


async def test_a_wrong_offset_is_a_conflict_that_tells_the_right_one(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data))
    await client.patch(data[:1000], 0)
    for offset in (0, 999, 1001, 5000):
        refused = await client.patch(data[1000:], offset, status=409)
        assert (refused.json()["code"], refused.json()["details"]) == ("wrong-offset", {"offset": 1000})
    await client.patch(data[1000:], 1000)
    await assert_complete(control, client, data)
    assert (await client.patch(data, 0, status=409)).json()["code"] == "wrong-offset"


@pytest.mark.parametrize("algorithm", ["sha256", "sha1"])
async def test_a_wrong_checksum_keeps_nothing(control: Control, client: Client, algorithm: str) -> None:
    data = film(2 * PART_MIN_BYTES + 50)
    await client.begin(len(data))
    await client.patch(data[:100], 0, Upload_Checksum=digest(data[:100], algorithm))
    refused = await client.patch(data[100:], 100, status=460, Upload_Checksum=digest(b"other", algorithm))
    assert refused.json()["code"] == "checksum-mismatch"
    assert await client.offset() == 100
    wrong = secrets.token_bytes(len(data) - 100)
    await client.patch(wrong, 100, status=460, Upload_Checksum=digest(data[100:], algorithm))
    await client.patch(data[100:], 100, Upload_Checksum=digest(data[100:], algorithm))
    await assert_complete(control, client, data)


async def test_a_break_within_checked_bytes_keeps_nothing(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 50)
    await client.begin(len(data))
    await broken_patch(client, data[:-10], size=len(data), **{"upload-checksum": digest(data)})
    assert await client.offset() == 0
    await client.patch(data, 0, Upload_Checksum=digest(data))
    await assert_complete(control, client, data)


async def test_another_file_than_was_announced_is_dropped(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data), about={"sha256": hashlib.sha256(b"another").hexdigest()})
    refused = await client.patch(data, 0, status=460)
    assert "announced" in refused.json()["detail"]
    await assert_nothing_visible(control, client)
    assert await client.head() == 410


async def test_another_content_type_is_refused(client: Client) -> None:
    await client.begin(5000)
    for kind in ("application/json", "", "video/mp4", "application/octet-stream"):
        refused = await client.patch(film(5000), 0, status=415, Content_Type=kind)
        assert "application/offset+octet-stream" in refused.json()["detail"]
    assert await client.offset() == 0


NO_MASTERS = [
    (b"#EXTM3U\n#EXTINF:4,\nfile:///etc/passwd\n", "playlist"),
    (b"ffconcat version 1.0\nfile '/etc/passwd'\n", "list of files"),
    (b"this is a text, renamed\n" * 400, "text"),
    (bytes(20_000), "neither"),
]


async def test_what_is_no_master_is_refused_with_words(control: Control, client: Client) -> None:
    for head, words in NO_MASTERS:
        for pieces in ([head], [head[:7], head[7:]]):
            await client.begin(len(head))
            offset = 0
            for piece in pieces[:-1]:
                await client.patch(piece, offset)
                offset += len(piece)
            refused = await client.patch(pieces[-1], offset, status=415)
            assert words in refused.json()["detail"] and "MP4" in refused.json()["detail"]
            await assert_nothing_visible(control, client)
            assert await client.head() == 410
            await client.patch(b"x", offset, status=410)


async def test_what_is_no_master_is_refused_before_the_rest_comes(control: Control, client: Client) -> None:
    await client.begin(10 * MIB)
    more = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield b"text " * 1000
        await more.wait()
        yield b"never read"

    await asyncio.wait_for(client.patch(endless(), 0, status=415), 20)
    await assert_nothing_visible(control, client)


IMPOSSIBLE: list[tuple[str, dict[str, str], int, str]] = [
    ("0", {}, 415, "empty-file"),
    (str((20 << 30) + 1), {}, 413, "too-large"),
    ("9" * 40, {}, 413, "too-large"),
    ("", {}, 400, "bad-header"),
    ("-5", {}, 400, "bad-header"),
    ("5000", {"filename": "film.txt"}, 415, "extension"),
    ("5000", {"filename": "film.m3u8"}, 415, "extension"),
    ("5000", {"filename": ""}, 400, "bad-header"),
    ("5000", {"title": ""}, 400, "bad-header"),
    ("5000", {"mode": "best"}, 400, "bad-header"),
    ("5000", {"loudness": "loud"}, 400, "bad-header"),
    ("5000", {"title": "ttl_" + "0" * 32}, 404, "not-found"),
    ("5000", {"title": "../../x"}, 404, "not-found"),
    ("5000", {"title": "a\0b"}, 404, "not-found"),
]


async def test_a_creation_that_cannot_be_is_refused(control: Control, client: Client) -> None:
    for size, about, status, code in IMPOSSIBLE:
        refused = await client.begin(size, status=status, about=about)
        assert refused.json()["code"] == code and len(refused.json()["detail"]) > 10, (size, about)
        assert refused.headers["tus-resumable"] == "1.0.0"
    assert await control.rows("select id from upload") == []


async def test_a_length_that_comes_later_is_refused(client: Client) -> None:
    headers = TUS | {"Upload-Defer-Length": "1", "Upload-Metadata": metadata(title=client.title, filename="a.mp4")}
    refused = await client.http.post("/v1/uploads", headers=headers)
    assert refused.status_code == 400 and "Upload-Defer-Length" in refused.json()["detail"]


async def test_more_bytes_than_announced_are_refused_as_soon_as_they_pass(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data))
    await client.patch(data + b"x", 0, status=413)
    assert await client.offset() == 0
    more = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        yield data
        yield b"x"
        await more.wait()

    await asyncio.wait_for(client.patch(endless(), 0, status=413), 20)
    assert await control.rows("select id from job") == []
    await client.patch(data, await client.offset())
    await assert_complete(control, client, data)
    await client.patch(b"x", len(data), status=413)


async def test_a_series_has_no_master(control: Control, seller: Desk) -> None:
    client = Client(seller.http, (await seller.title(kind="series"))["id"])
    assert (await client.begin(5000, status=422)).json()["code"] == "invalid"
