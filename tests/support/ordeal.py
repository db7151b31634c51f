"""An ordeal of the cap: edges in processes of their own, a real Valkey behind fault proxies, and everything goes wrong.

Scale of the settings: lease 45 → 5 s, renewal 15 → 2 s, outage 300 → 9 s. What the code fixes stays as it is: a ping
each second, 2 s for a question to Redis, 5 s of waiting after it forgot.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from infra.stack.child import own_session
from infra.tree import ROOT
from shared.events import EDGE_PUSH, Push
from shared.seats import keys
from tests.support.audience import Part
from tests.support.faults import FaultProxy
from tests.support.history import Bounds, Delivery, Ended, History, Refused, Span
from tests.support.ports import free_port
from tests.support.valkey import Valkey

Policy = Literal["refuse", "takeover_oldest"]
#: Clocks of the edges, in seconds beside the true time; their number is the number of edges.
CLOCKS: Final = (0.0, 60.0, -60.0, 30.0)
BOUNDS: Final = Bounds(cap=2, lease_s=5, renew_s=2, outage_s=9)
VIEWERS: Final = 6
START_WITHIN_S: Final = 60.0


class Account(msgspec.Struct, kw_only=True):
    """What happened: the history, and how much of what."""

    history: History
    refused: Counter[str]
    done: Counter[str]

    @property
    def operations(self) -> int:
        """Questions to the seat code: deliveries, refusals and ends."""
        return len(self.history.deliveries) + self.refused.total() + len(self.history.ends)


class Screen:
    """One edge: its proxy stays, its process may be killed and replaced."""

    def __init__(self, number: int, proxy: FaultProxy) -> None:
        self.number, self.proxy = number, proxy
        self.name = ""
        self.process: subprocess.Popen[bytes] | None = None


class Ordeal:
    """The stage, and the things that go wrong on it."""

    def __init__(self, folder: Path, server: Valkey, policy: Policy, *, seed: int, players: int = 12) -> None:
        self.folder, self.server, self.policy, self.seed = folder, server, policy, seed
        self.chance, self._players = random.Random(seed), players
        self.screens: list[Screen] = []
        self.done: Counter[str] = Counter()
        self._history, self._started = History(), 0
        #: Sessions of whose takeover we heard.
        self._heard: set[str] = set()
        self._one_at_a_time = asyncio.Lock()

    async def start(self) -> None:
        """All edges, hearing Redis."""
        for number in range(len(CLOCKS)):
            proxy = FaultProxy(f"127.0.0.1:{self.server.port}")
            await proxy.start()
            self.screens.append(Screen(number, proxy))
        await asyncio.gather(*(self.open(screen) for screen in self.screens))

    async def stop(self) -> None:
        """Kill all edges and close their proxies."""
        for screen in self.screens:
            await self.close(screen)
            await screen.proxy.stop()

    async def open(self, screen: Screen) -> None:
        """A new edge in place of the old one; it is in trouble until it hears Redis."""
        self._started += 1
        screen.name, began = f"edge{screen.number}-{self._started}", time.monotonic()
        part = Part(
            name=screen.name,
            redis_url=f"redis://{screen.proxy.address}/0",
            book=str(self.folder / f"{screen.name}.book"),
            folder=str(self.folder),
            policy=self.policy,
            ahead_s=CLOCKS[screen.number],
            cap=BOUNDS.cap,
            lease_s=int(BOUNDS.lease_s),
            renew_s=int(BOUNDS.renew_s),
            outage_s=int(BOUNDS.outage_s),
            viewers=VIEWERS,
            players=self._players,
            seed=self.seed * 1000 + self._started,
        )
        screen.process = self._spawn(part)
        async with asyncio.timeout(START_WITHIN_S):
            while not Path(part.book).exists():
                assert screen.process.poll() is None, (self.folder / "edges.log").read_text()
                await asyncio.sleep(0.02)
        self._trouble(screen, began)

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        with (self.folder / "edges.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.support.audience", msgspec.json.encode(part).decode()],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=own_session(os.getpid(), signal.SIGKILL),
            )

    async def close(self, screen: Screen) -> None:
        """SIGKILL."""
        if screen.process is not None:
            screen.process.kill()
            await asyncio.to_thread(screen.process.wait)

    def _trouble(self, screen: Screen, since: float) -> None:
        self._history.trouble.setdefault(screen.name, []).append(Span(since, time.monotonic()))

    # What goes wrong

    async def calm(self) -> None:
        """Nothing, until every edge is well again."""
        await asyncio.sleep(BOUNDS.recovery_s + 0.2)

    async def kill_edge(self) -> None:
        """An edge dies, and another starts in its place."""
        screen = self.chance.choice(self.screens)
        await self.close(screen)
        await self.open(screen)

    async def pause_edge(self) -> None:
        """An edge stops for longer than a lease and goes on as if nothing had been."""
        screen, began = self.chance.choice(self.screens), time.monotonic()
        assert screen.process is not None
        screen.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(BOUNDS.lease_s + 1)
        screen.process.send_signal(signal.SIGCONT)
        self._trouble(screen, began)

    async def partition(self) -> None:
        """An edge is cut off for longer than its sessions may play on; what it said meanwhile arrives late."""
        screen, began = self.chance.choice(self.screens), time.monotonic()
        screen.proxy.set(blackhole=True)
        await asyncio.sleep(BOUNDS.outage_s + 2)
        screen.proxy.set()
        self._trouble(screen, began)

    async def disturb(self) -> None:
        """Slow, thin and torn connections."""
        began = time.monotonic()
        slow, thin, torn = self.chance.sample(self.screens, 3)
        slow.proxy.set(latency_s=0.3)
        thin.proxy.set(bandwidth=3000)
        torn.proxy.reset()
        await asyncio.sleep(1)
        for screen in (slow, thin, torn):
            screen.proxy.set()
            self._trouble(screen, began)

    async def restart_redis(self) -> None:
        """Redis dies and comes back with what it had written down."""
        began = time.monotonic()
        self.server.kill()
        await asyncio.sleep(1.5)
        await asyncio.to_thread(self.server.start)
        for screen in self.screens:
            self._trouble(screen, began)

    async def wipe_redis(self) -> None:
        """Redis forgets everything while connections stay."""
        self._history.wipes.append(time.monotonic())
        async with Redis.from_url(self.server.url) as redis:
            await redis.flushall()
        await asyncio.sleep(BOUNDS.settle_s + 1)

    async def lose_redis(self) -> None:
        """Redis dies and another comes, which knows nothing."""
        began = time.monotonic()
        self._history.wipes.append(began)
        self.server.kill()
        shutil.rmtree(self.folder / "redis" / "appendonlydir", ignore_errors=True)
        await asyncio.sleep(1)
        await asyncio.to_thread(self.server.start)
        for screen in self.screens:
            self._trouble(screen, began)
        await asyncio.sleep(BOUNDS.settle_s)

    async def go_wrong(self, *happenings: Callable[[], Awaitable[None]]) -> None:
        """These, one after the other."""
        for happening in happenings:
            name = getattr(happening, "__name__", "")
            self.done[name] += 1
            async with self._one_at_a_time if name.endswith("_redis") else contextlib.nullcontext():
                await happening()

    # What is known afterwards

    async def listen(self) -> None:
        """Note each takeover, on a line of our own to Redis, for ever."""
        while True:
            with contextlib.suppress(RedisError, OSError):
                began = time.monotonic()
                async with Redis.from_url(self.server.url) as redis, redis.pubsub() as channel:
                    await channel.subscribe(EDGE_PUSH)
                    await self._catch_up(redis, began)
                    async for message in channel.listen():
                        self._note(message, time.monotonic())
            await asyncio.sleep(0.05)

    async def _catch_up(self, redis: Redis, at: float) -> None:
        """Takeovers that happened while nobody listened: Redis is no longer up than we have been trying."""
        for number in range(VIEWERS):
            gone: list[Any] = await redis.hkeys(keys(f"viewer-{number}")[2])
            for sid in gone:
                self._history.takeovers.setdefault(sid.decode(), at)

    def _note(self, message: dict[str, Any], at: float) -> None:
        if message["type"] == "message":
            push = msgspec.json.decode(message["data"], type=Push)
            if push.kind == "sid" and push.reason == "taken-over":
                self._history.takeovers.setdefault(push.key, at)
                self._heard.add(push.key)

    def _infer(self, one: Refused) -> None:
        """A takeover whose message we missed was a second before its victim heard of it, at the earliest."""
        if one.code in ("taken-over", "revoked") and one.sid not in self._heard:
            earlier = self._history.takeovers.get(one.sid, one.at)
            self._history.takeovers[one.sid] = min(earlier, one.at - BOUNDS.takeover_s)

    def operations(self) -> int:
        """Lines in the books so far."""
        return sum(path.read_bytes().count(b"\n") for path in self.folder.glob("*.book"))

    def account(self) -> Account:
        """Everything that was written down."""
        refused: Counter[str] = Counter()
        for path in self.folder.glob("*.book"):
            for line in path.read_bytes().splitlines():
                kind, entry = msgspec.json.decode(line)
                if kind == "delivered":
                    self._history.deliveries.append(msgspec.convert(entry, Delivery))
                elif kind == "end":
                    self._history.ends.append(msgspec.convert(entry, Ended))
                else:
                    one = msgspec.convert(entry, Refused)
                    refused[one.code] += 1
                    self._infer(one)
        return Account(history=self._history, refused=refused, done=self.done)


@contextlib.asynccontextmanager
async def ordeal(folder: Path, policy: Policy, *, seed: int, players: int = 12) -> AsyncIterator[Ordeal]:
    """A running ordeal; at its end nothing runs and the books are closed."""
    (folder / "redis").mkdir()
    server = Valkey(free_port(), folder / "redis", "--appendonly", "yes", "--appendfsync", "everysec")
    server.start()
    made = Ordeal(folder, server, policy, seed=seed, players=players)
    listening = asyncio.create_task(made.listen())
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
        listening.cancel()
        await asyncio.wait([listening])
        server.kill()
