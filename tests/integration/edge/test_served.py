"""The edge as it runs: a granian child, settings from the environment, HTTP over sockets."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from shared import keys, tokens
from tests.support.edge import MASTER, SEGMENT, SEGMENT_BYTES, claims, until
from tests.support.ports import free_base


class Served:
    """A granian child and the keys it trusts."""

    def __init__(self, process: subprocess.Popen[bytes], key_set: keys.KeySet, *, log: Path, port: int) -> None:
        self.process, self._key_set, self.log, self._port = process, key_set, log, port

    def token(self) -> str:
        return tokens.mint(claims(time.time()), keys.signing_key(self._key_set))

    def private(self, path: str) -> http.client.HTTPResponse:
        return self._get(path, self._port + 1, {})

    def get(self, path: str, **headers: str) -> http.client.HTTPResponse:
        return self._get(path, self._port, headers)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        return self._get(path, self._port, headers, method=method, body=body)

    def leave(self, path: str) -> None:
        """Ask, read a few bytes, and hang up."""
        link = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        link.request("GET", path)
        link.getresponse().read(10)
        link.close()

    def _get(
        self, path: str, port: int, headers: dict[str, str], *, method: str = "GET", body: bytes | None = None
    ) -> http.client.HTTPResponse:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        link.request(method, path, body=body, headers=headers)
        answer = link.getresponse()
        answer.content = answer.read()  # type: ignore[attr-defined]
        link.close()
        return answer


@pytest.fixture
async def served(folder: Path, redis_url: str) -> Iterator[Served]:  # type: ignore[misc]
    key_set, port = keys.new_key_set(), free_base(2)
    (folder / "jwks.json").write_bytes(msgspec.json.encode(keys.jwks(key_set)))
    environment = {
        **os.environ,
        "USHER_REDIS_URL": redis_url,
        "USHER_BUCKET": str(folder / "bucket"),
        "USHER_JWKS_URL": "",
        "USHER_JWKS_FILE": str(folder / "jwks.json"),
        "USHER_PRIVATE_PORT": str(port + 1),
    }
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--port", str(port)]
    command += ["--no-ws", "--log-level", "warning", "--workers-kill-timeout", "5", "gateway.edge.app:create_app"]
    log = folder / "edge.log"
    # SIGUSR1 is for the worker; the parent must not die of it when the whole group gets it.
    with log.open("wb") as out:
        process = await asyncio.to_thread(
            subprocess.Popen,
            ["sh", "-c", 'trap "" USR1; exec "$@"', "edge", *command],
            env=environment,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    child = Served(process, key_set, log=log, port=port)

    async def ready() -> bool:
        try:
            # The server listens only once the application has started, so ready alone is a moment early.
            answers = [
                await asyncio.to_thread(child.private, "/readyz"),
                await asyncio.to_thread(child.get, "/healthz"),
            ]
            return [answer.status for answer in answers] == [200, 200]
        except OSError:
            assert process.poll() is None, log.read_text()
            return False

    try:
        await until(ready, deadline_s=20)
        yield child
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(15)


async def test_media_is_served_over_http(served: Served) -> None:
    token = served.token()
    whole = served.get(f"/t/{token}/{SEGMENT}")
    part = served.get(f"/t/{token}/{SEGMENT}", Range="bytes=1000-200999")
    playlist = served.get(f"/t/{token}/{MASTER}?CMCD=x")
    assert (whole.status, whole.content) == (200, SEGMENT_BYTES)  # type: ignore[attr-defined]
    assert (part.status, part.content) == (206, SEGMENT_BYTES[1000:201000])  # type: ignore[attr-defined]
    assert (playlist.status, served.get("/healthz").status) == (200, 200)
    assert served.get(f"/t/{token[:-4]}AAAA/{SEGMENT}").status == 401
    metrics = served.private("/metrics").content.decode()  # type: ignore[attr-defined]
    assert 'usher_edge_requests_total{kind=".m4s",status="200"} 1.0' in metrics
    assert "usher_edge_redis_up 1.0" in metrics


async def test_answers_without_a_body_leave_the_connection_in_order(served: Served) -> None:
    token = served.token()
    etag = served.get(f"/t/{token}/{MASTER}").getheader("etag") or ""
    head = served.ask("HEAD", f"/t/{token}/{SEGMENT}")
    assert (head.status, head.getheader("content-length")) == (200, str(len(SEGMENT_BYTES)))
    assert served.get(f"/t/{token}/{MASTER}", **{"If-None-Match": etag}).status == 304
    assert served.ask("OPTIONS", f"/t/{token}/{MASTER}", Origin="https://page.example").status == 204
    assert served.ask("POST", f"/t/{token}/beat", b"").status == 204
    # A beacon comes with a text body that nobody reads.
    assert served.ask("POST", f"/t/{token}/end", b"x" * 1000, **{"Content-Type": "text/plain"}).status == 204
    assert served.ask("GET", f"/t/{token}/v/ttl_a/%2e%2e/x.m3u8").status == 404
    assert served.ask("GET", f"/t/{token}/v/ttl_a/%00.m3u8").status == 400


async def test_a_client_that_leaves_half_way_does_no_harm(served: Served) -> None:
    token = served.token()
    for _ in range(20):
        served.leave(f"/t/{token}/{SEGMENT}")
    assert served.get(f"/t/{token}/{SEGMENT}").content == SEGMENT_BYTES  # type: ignore[attr-defined]


async def test_a_draining_edge_is_not_ready_and_closes_connections(served: Served) -> None:
    token = served.token()
    assert served.get(f"/t/{token}/{MASTER}").getheader("connection") != "close"
    os.killpg(served.process.pid, signal.SIGUSR1)

    async def draining() -> bool:
        return (await asyncio.to_thread(served.private, "/readyz")).status == 503

    await until(draining)
    answer = served.get(f"/t/{token}/{MASTER}")
    assert (answer.status, answer.getheader("connection")) == (200, "close")


async def test_no_token_reaches_the_log(served: Served) -> None:
    token = served.token()
    served.get(f"/t/{token}/{SEGMENT}")
    served.get(f"/t/{token[:-9]}/{MASTER}")
    served.get(f"/t/{token}/v/%00/x.m3u8")
    served.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(served.process.wait, 15) == 0
    text = served.log.read_text()
    assert '"event": "start"' in text
    assert token[10:40] not in text
