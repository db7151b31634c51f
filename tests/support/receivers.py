"""Receivers of webhooks: real HTTP servers that answer as they are told, and a check of signatures by the standard."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from aiohttp import web

from gateway.control.outbox import EVENT
from gateway.control.webhooks.actions import Post
from gateway.control.webhooks.adapters.sender import Lookup, open_sender
from gateway.control.worker import relay, telling
from tests.support.control import Control
from tests.support.shop import Viewer

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Receiver:
    """Answers with `statuses`, first come first, else 200; or as `answer` does. `open` holds answers back."""

    url: str = ""
    statuses: list[int] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    answer: Answer | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)
    got: list[tuple[dict[str, str], str]] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        self.hosts.append(request.host)
        self.got.append(({k.lower(): v for k, v in request.headers.items()}, (await request.read()).decode()))
        await self.open.wait()
        if self.answer is not None:
            return await self.answer(request)
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200, headers=self.headers)

    @property
    def ids(self) -> list[str]:
        """The webhook-ids that came."""
        return [headers["webhook-id"] for headers, _ in self.got]

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """What was told."""
        return [json.loads(body) for _, body in self.got]


@contextlib.asynccontextmanager
async def receiver(host: str = "127.0.0.1", port: int = 0, **about: Any) -> AsyncIterator[Receiver]:
    """A receiver on a port of this machine."""
    made = Receiver(**about)
    made.open.set()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", made.serve)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    made.url = f"http://{host}:{runner.addresses[0][1]}/hooks"
    try:
        yield made
    finally:
        made.open.set()
        await runner.cleanup()


def is_signed(secret: str, headers: dict[str, str], body: str) -> bool:
    """Whether one of the signatures is by this secret (standardwebhooks.com, "Signature scheme")."""
    key = base64.b64decode(secret.split("_", 1)[1])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body}".encode()
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(one, f"v1,{expected}") for one in headers["webhook-signature"].split(" "))


class Postbox:
    """The worker's turns for webhooks, one at a time."""

    def __init__(self, control: Control, post: Post) -> None:
        self.control, self.post = control, post

    async def hear(self) -> None:
        """Let events leave the outbox, and take them in as they do."""
        wiring = self.control.wiring
        deliver = partial(relay.deliver_events, redis=wiring["events"])
        take_in = partial(telling.take_in, clock=self.control.clock)
        while await relay.relay(EVENT, deliver, begin=wiring["begin"], take_in=take_in):
            pass

    async def turn(self) -> None:
        """Take in what happened and send what is due."""
        await self.hear()
        await self.post.step()
        await self.post.idle()

    async def add(self, viewer: Viewer, url: str, **about: Any) -> dict[str, Any]:
        """A new endpoint, with its secret."""
        return dict(await viewer.ask("POST", "webhook-endpoints", 201, {"url": url, **about}))

    async def deliveries(self) -> list[dict[str, Any]]:
        """All of them, the oldest first."""
        return await self.control.rows("select * from webhook_delivery order by created_at, type, id")


@contextlib.asynccontextmanager
async def postbox(control: Control, lookup: Lookup | None = None) -> AsyncIterator[Postbox]:
    """The post of a worker, which sends to this machine too."""
    async with open_sender(loopback=True, lookup=lookup) as sender:
        post = Post(sender, begin=control.wiring["begin"], clock=control.clock)
        try:
            yield Postbox(control, post)
        finally:
            await post.close()
