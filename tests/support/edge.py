"""An edge under test: its settings, keys and tokens, a bucket with two titles, and a client that speaks ASGI to it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import msgspec
from starlette.types import Message

from gateway.edge.app import Application, create_app
from shared import keys, tokens
from shared.settings import EdgeSettings

DEADLINE_S = 60.0
TITLE, OTHER = "ttl_a", "ttl_a2"
MASTER = f"v/{TITLE}/e/ed1/1080.m3u8"
PLAYLIST = f"v/{TITLE}/ver1/720/index.m3u8"
SEGMENT = f"v/{TITLE}/ver1/720/0/0.m4s"
INIT = f"v/{TITLE}/ver1/720/init.mp4"
SEGMENT_BYTES = bytes(range(256)) * 1200
_number = itertools.count()


class Jumping:
    """Real clocks that a test can push forward, and stop where a pause of the machine must not count."""

    def __init__(self) -> None:
        self.ahead_s = 0.0
        self._stopped: tuple[float, float] | None = None

    def stop(self) -> None:
        """Let time pass only as `ahead_s` grows."""
        self._stopped = time.time(), time.monotonic()

    def now(self) -> float:
        return (self._stopped[0] if self._stopped else time.time()) + self.ahead_s

    def tick(self) -> float:
        return (self._stopped[1] if self._stopped else time.monotonic()) + self.ahead_s


class Answer(msgspec.Struct):
    """What came back: `pieces` are the body messages as they were sent; `is_cut` when the last one never came."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]
    is_cut: bool = False

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)

    def json(self) -> Any:
        return msgspec.json.decode(self.body)


def fill_bucket(bucket: Path) -> None:
    """Two titles whose ids share a beginning, with all that an edge may and may not serve."""
    for title in (TITLE, OTHER):
        for rendition in ("1080", "720", "audio-0"):
            folder = bucket / "v" / title / "ver1" / rendition
            (folder / "0").mkdir(parents=True)
            (folder / "init.mp4").write_bytes(b"init")
            (folder / "index.m3u8").write_text("#EXTM3U\n0/0.m4s\n")
            (folder / "0" / "0.m4s").write_bytes(SEGMENT_BYTES)
        (bucket / "v" / title / "ver1" / "poster.jpg").write_bytes(b"\xff\xd8\xff\xe0jpeg")
        (bucket / "v" / title / "ver1" / "ready.json").write_text("{}")
        (bucket / "v" / title / "e" / "ed1").mkdir(parents=True)
        for ceiling in ("1080", "720", "audio"):
            (bucket / "v" / title / "e" / "ed1" / f"{ceiling}.m3u8").write_text(f"#EXTM3U\n# {ceiling}\n")
    for secret in ("work/ver1/plan.json", f"masters/{TITLE}/upl_1", "work/ver1/0/a/0.m4s"):
        path = bucket / secret
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"secret")


class EdgeUnderTest:
    """A running edge and all one needs to talk to it."""

    def __init__(self, app: Application, settings: EdgeSettings, key_set: keys.KeySet, clock: Jumping) -> None:
        self.app, self.settings, self.clock = app, settings, clock
        self.key_set = key_set

    def token(self, *, signer: keys.SigningKey | None = None, **changes: Any) -> str:
        """A good token for TITLE, with `changes` to its claims."""
        return tokens.mint(claims(self.clock.now(), **changes), signer or keys.signing_key(self.key_set))

    async def until_it_hears(self) -> None:
        """Wait until pushes reach the edge, so that it knows which Redis it talks to and why tokens end."""

        async def hears() -> bool:
            return self.app.edge is not None and self.app.edge.watch.is_connected

        await until(hears)

    async def get(self, path: str, token: str = "", **more: Any) -> Answer:
        """GET a bucket path with the token in the address."""
        return await self.ask("GET", f"/t/{token}/{path}" if token else f"/{path}", **more)

    async def post(self, name: str, token: str, **more: Any) -> Answer:
        """POST `end` or `beat`."""
        return await self.ask("POST", f"/t/{token}/{name}", **more)

    async def ask(
        self, method: str, target: str, *, headers: dict[str, str] | None = None, address: str = "192.0.2.1"
    ) -> Answer:
        """One request with exactly this target on the wire; it is answered to the end."""
        raw, _, query = target.partition("?")
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "path": unquote(raw, errors="replace"),
            "raw_path": raw.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in (headers or {}).items()],
            "client": (address, 4711),
        }
        answer = await call(self.app, scope)
        assert not answer.is_cut
        return answer


async def call(app: Application, scope: dict[str, Any]) -> Answer:
    """One request to an ASGI application; the client stays until the answer is complete."""
    answer = Answer(0, {}, [])
    done = asyncio.Event()
    first = True

    async def receive() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        await done.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            assert answer.status == 0
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        elif message["type"] == "http.response.pathsend":
            answer.pieces.append(await asyncio.to_thread(Path(message["path"]).read_bytes))
            done.set()
        else:
            assert type(message.get("body", b"")) is bytes
            answer.pieces.append(message.get("body", b""))
            if not message.get("more_body"):
                done.set()

    await app(scope, receive, send)
    assert answer.status
    answer.is_cut = not done.is_set()
    return answer


def claims(now: float, **changes: Any) -> tokens.Claims:
    """Good claims for TITLE; each call is a session of its own."""
    number = next(_number)
    scope = changes.pop("scope", f"v/{TITLE}/")
    values: dict[str, Any] = {
        "iss": tokens.ISSUER,
        "aud": tokens.AUDIENCE,
        "iat": int(now),
        "exp": int(now) + tokens.START_WINDOW_S,
        "jti": f"jti{number}",
        "sid": f"session-{number}",
        "sub": "viewer",
        "scope": scope,
        "cdniv": 1,
        "cdniuc": tokens.container(scope),
        "hmx": int(now) + tokens.HARD_END_S,
    }
    return tokens.Claims(**(values | changes))


@contextlib.asynccontextmanager
async def running_edge(
    folder: Path, redis_url: str, *, key_set: keys.KeySet | None = None, **changes: Any
) -> AsyncIterator[EdgeUnderTest]:
    """An edge in this process, its lifespan run, on the bucket `folder/bucket` and the keys `folder/jwks.json`."""
    key_set = key_set or keys.new_key_set()
    jwks_file = folder / "jwks.json"
    if "jwks_file" not in changes:
        jwks_file.write_bytes(msgspec.json.encode(keys.jwks(key_set)))
    values: dict[str, Any] = {
        "redis_url": redis_url,
        "bucket": str(folder / "bucket"),
        "jwks_url": "",
        "jwks_file": jwks_file,
    }
    settings = EdgeSettings(**(values | changes))
    clock = Jumping()
    app = create_app(settings, now=clock.now, tick=clock.tick)
    async with lifespan(app):
        yield EdgeUnderTest(app, settings, key_set, clock)


@contextlib.asynccontextmanager
async def lifespan(app: Application) -> AsyncIterator[None]:
    """Start and stop an ASGI application as a server does."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()

    async def put(message: Any) -> None:
        await from_app.put(message)

    task = asyncio.create_task(app({"type": "lifespan", "state": {}}, to_app.get, put))
    await to_app.put({"type": "lifespan.startup"})
    started = await from_app.get()
    assert started["type"] == "lifespan.startup.complete", started
    try:
        yield
    finally:
        await to_app.put({"type": "lifespan.shutdown"})
        await from_app.get()
        await task


async def until(condition: Callable[[], Awaitable[bool]], *, deadline_s: float = DEADLINE_S) -> None:
    """Wait until `condition` holds; fail at the deadline."""
    end = time.monotonic() + deadline_s
    while not await condition():
        assert time.monotonic() < end, "the deadline passed"
        await asyncio.sleep(0.01)
