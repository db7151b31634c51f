"""Uploads through the API, as tus clients see them: what is taken, kept, refused, resumed and swept."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx2
import msgspec
import pytest

from gateway.control.uploads import actions, routes
from shared.clock import ManualClock
from shared.errors import Locked
from shared.settings import ControlSettings
from shared.storage.base import PART_MIN_BYTES
from tests.support import s3
from tests.support.control import Control, log_in, make_admin, register, running_control
from tests.support.titles import Desk, desk

TUS = {"Tus-Resumable": "1.0.0"}
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
MIB = 1 << 20


def film(size: int) -> bytes:
    """Bytes that begin like an MP4; no two the same."""
    return MP4 + secrets.token_bytes(size - len(MP4))


def metadata(**facts: str) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts.items())


def digest(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


class Client:
    """A tus client for one title."""

    def __init__(self, http: httpx2.AsyncClient, title: str) -> None:
        self.http, self.title, self.at = http, title, ""

    async def begin(
        self, size: int | str, *, status: int = 201, body: bytes = b"", about: dict[str, str] | None = None
    ) -> httpx2.Response:
        facts = {"title": self.title, "filename": "film.mp4", **(about or {})}
        headers = TUS | {"Upload-Length": str(size), "Upload-Metadata": metadata(**facts)}
        if body:
            headers["Content-Type"] = "application/offset+octet-stream"
        answer = await self.http.post("/v1/uploads", headers=headers, content=body)
        assert answer.status_code == status, answer.text
        self.at = answer.headers.get("location", "")
        return answer

    async def patch(self, data: Any, offset: int, *, status: int = 204, **headers: str) -> httpx2.Response:
        sent = TUS | {"Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        answer = await self.http.patch(self.at, content=data, headers=sent)
        assert answer.status_code == status, f"{answer.status_code} {answer.text}"
        assert answer.headers["tus-resumable"] == "1.0.0"
        return answer

    async def offset(self) -> int:
        answer = await self.http.head(self.at, headers=TUS)
        assert answer.status_code == 200, answer.status_code
        return int(answer.headers["upload-offset"])

    async def head(self) -> int:
        return (await self.http.head(self.at, headers=TUS)).status_code


@pytest.fixture
async def seller(control: Control) -> Desk:
    return await desk(control)


@pytest.fixture
async def client(seller: Desk) -> Client:
    return Client(seller.http, (await seller.title())["id"])


async def row(control: Control, client: Client) -> dict[str, Any]:
    return (await control.rows("select * from upload where id = $1", client.at.rsplit("/", 1)[1]))[0]


async def objects(control: Control) -> list[str]:
    return [info.key async for info in control.wiring["bucket"].list_prefix("")]


def folders(control: Control) -> list[str]:
    """What the bucket's folder holds of unfinished multipart uploads."""
    return [path.name for path in (Path(control.settings.bucket) / ".multipart").iterdir()]


def ports(control: Control) -> actions.Ports:
    wiring = control.wiring
    return actions.Ports(
        begin=wiring["begin"],
        bucket=wiring["bucket"],
        locks=wiring["upload_locks"],
        clock=control.clock,
        expiry_s=control.settings.upload_expiry_s,
    )


async def assert_complete(control: Control, client: Client, data: bytes) -> None:
    """The master lies in the bucket, the row says so, and one job waits with its ticket."""
    stored = await row(control, client)
    key = f"masters/{client.title}/{stored['id']}"
    sha256 = hashlib.sha256(data).hexdigest()
    assert (stored["state"], stored["offset_bytes"], stored["sha256"], stored["tail"]) == (
        "completed",
        len(data),
        sha256,
        b"",
    )
    assert await objects(control) == [key]
    assert await control.wiring["bucket"].get(key) == data
    jobs = await control.rows("select title, upload, master, sha256, state from job")
    assert jobs == [{"title": client.title, "upload": stored["id"], "master": key, "sha256": sha256, "state": "queued"}]
    completed = await control.events("upload.completed")
    assert [event["data"] for event in completed] == [
        {"upload": stored["id"], "title": client.title, "size_bytes": len(data), "key": key, "sha256": sha256}
    ]
    tasks = await control.rows("select data from outbox where topic = 'task'")
    assert [task["data"]["ticket"]["master"] for task in tasks] == [key]
    assert (await control.rows("select state from title where id = $1", client.title))[0]["state"] == "processing"


async def assert_nothing_visible(control: Control, client: Client) -> None:
    """No object, no job, no part left behind, the title a draft still."""
    assert await objects(control) == []
    assert folders(control) == []
    assert await control.rows("select id from job") == []
    assert await control.events("upload.completed") == []
    assert (await control.rows("select state from title where id = $1", client.title))[0]["state"] == "draft"


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


# Going on after a break


async def test_what_came_before_a_break_is_kept(control: Control, client: Client) -> None:
    data = film(PART_MIN_BYTES + 50_000)
    await client.begin(len(data))
    await broken_patch(client, data[: PART_MIN_BYTES + 20_000], size=len(data))
    assert await client.offset() == PART_MIN_BYTES + 20_000
    await client.patch(data[PART_MIN_BYTES + 20_000 :], PART_MIN_BYTES + 20_000)
    await assert_complete(control, client, data)


async def broken_patch(client: Client, data: bytes, *, size: int, **headers: str) -> None:
    """A PATCH that announces `size` bytes and breaks off after `data`."""
    app = cast(Any, client.http)._transport.app
    sent = {"tus-resumable": "1.0.0", "upload-offset": "0", "content-length": str(size), "host": "x"}
    sent |= {"content-type": "application/offset+octet-stream", **headers}
    sent["cookie"] = "; ".join(f"{name}={value}" for name, value in client.http.cookies.items())
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": data[:-10_000], "more_body": True},
        {"type": "http.request", "body": data[-10_000:], "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    async def send(message: dict[str, Any]) -> None:
        """Nobody listens any more."""

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "PATCH",
        "scheme": "http",
        "path": client.at,
        "raw_path": client.at.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in sent.items()],
        "client": ("127.0.0.1", 1),
        "server": ("x", 80),
    }
    await app(scope, receive, send)


async def test_a_client_that_falls_silent_loses_the_lock_and_no_byte(
    control: Control, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(routes, "SILENCE_S", 0.05)
    data = film(9000)
    await client.begin(len(data))

    async def silent() -> AsyncIterator[bytes]:
        yield data[:5000]
        await asyncio.Event().wait()

    answer = await asyncio.wait_for(client.patch(silent(), 0), 20)
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
        await connection.execute("delete from outbox where type in ('upload.completed', 'farm.probe')")
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


# Refusals


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


# Other people


async def test_other_people_find_no_upload(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data))
    stranger, admin = control.browser(), control.browser()
    await register(stranger, "stranger")
    await make_admin(control, (await register(admin, "boss"))["id"])
    for http in (stranger, admin):
        other = Client(http, client.title)
        other.at = client.at
        assert await other.head() == 404
        await other.patch(data, 0, status=404)
        assert (await http.delete(client.at, headers=TUS)).status_code == 404
    assert (await Client(stranger, client.title).begin(5000, status=404)).json()["code"] == "not-found"
    nobody = control.browser()
    assert (await nobody.head(client.at, headers=TUS)).status_code == 401
    assert (await nobody.post("/v1/uploads", headers=TUS)).status_code == 401
    await client.patch(data, 0)
    await assert_complete(control, client, data)


async def test_an_id_of_no_upload_is_not_found(client: Client) -> None:
    for id in ("x", "upl_" + "0" * 32, "ttl_" + "0" * 32, "%00"):
        client.at = f"/v1/uploads/{id}"
        assert await client.head() == 404
        await client.patch(b"x", 0, status=404)


async def test_a_seller_that_dismissed_its_uploader_gets_no_bytes_from_it(
    control: Control, seller: Desk, client: Client
) -> None:
    helper = control.browser()
    await register(helper, "helper")
    await seller.ask("PUT", f"sellers/{seller.seller['handle']}/members/helper", 204, {"role": "uploader"})
    theirs = Client(helper, client.title)
    await theirs.begin(5000)
    await theirs.patch(film(5000)[:100], 0)
    await seller.ask("DELETE", f"sellers/{seller.seller['handle']}/members/helper", 204)
    assert await theirs.head() == 404
    await theirs.patch(b"x", 100, status=404)


# The end of an upload that was never complete


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
