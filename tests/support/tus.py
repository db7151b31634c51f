"""A tus client for tests, and what an upload leaves in the database and the bucket."""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Any, cast

import httpx2

from gateway.control.outbox import OFFER
from gateway.control.uploads import actions
from tests.support.control import Control

TUS = {"Tus-Resumable": "1.0.0"}
MP4 = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom"
MIB = 1 << 20


def film(size: int) -> bytes:
    """Bytes that begin like an MP4; no two the same."""
    return MP4 + secrets.token_bytes(size - len(MP4))


def metadata(**facts: str) -> str:
    """The header with which an upload says what it is of."""
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
    offers = await control.rows("select data from outbox where topic = 'task' and type = $1", OFFER)
    assert [ticket["master"] for offer in offers for ticket in offer["data"]["work"].values()] == [key]
    assert (await control.rows("select state from title where id = $1", client.title))[0]["state"] == "processing"


async def assert_nothing_visible(control: Control, client: Client) -> None:
    """No object, no job, no part left behind, the title a draft still."""
    assert await objects(control) == []
    assert folders(control) == []
    assert await control.rows("select id from job") == []
    assert await control.events("upload.completed") == []
    assert (await control.rows("select state from title where id = $1", client.title))[0]["state"] == "draft"
