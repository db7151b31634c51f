"""What a worker tells of itself each few seconds, and what it is told: to rest, or to leave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Sequence

from redis.exceptions import RedisError

from farm import gpu, scratch, tasks
from farm.engine import Engine
from farm.report import SPEEDS, connect
from shared.log import get
from shared.metrics import FARM_SCRATCH, FARM_SESSIONS_CAP, FARM_SPEED
from shared.need import Needs, WorkerState
from shared.settings import FarmSettings

#: Seconds between two words; control forgets a worker after three.
EVERY_S = 5.0
#: Seconds that a word on its way has before the last one.
TURN_S = 3.0


def name_of(settings: FarmSettings) -> str:
    """The name of this worker."""
    return settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"


async def state(needs: Needs, settings: FarmSettings, engine: Engine, *, since: float) -> WorkerState:
    """This worker, now."""
    name = name_of(settings)
    cards = gpu.watch()
    speed = SPEEDS.sum()
    FARM_SPEED.set(speed)
    FARM_SESSIONS_CAP.set(engine.sessions_cap)
    return WorkerState(
        name=name,
        queues=tasks.queues(engine),
        encoder=engine.encoder.name,
        build=engine.build,
        gpus=tuple(card.state for card in cards),
        running=tuple(work for work, owner in (await needs.owners()).items() if owner.partition("/")[0] == name),
        speed=speed,
        sessions=sum(card.sessions for card in cards),
        sessions_cap=engine.sessions_cap,
        since=since,
        memory_bytes=tasks.memory_bytes(settings),
    )


class Heart:
    """Tells how a worker does until it leaves; `obey` gets what was said of it, and the work it holds."""

    def __init__(self, settings: FarmSettings, engine: Engine, obey: Callable[[str, Sequence[str]], None]) -> None:
        self._settings, self._engine, self._obey = settings, engine, obey
        self._turn, self._since = threading.Lock(), time.time()
        self._told: WorkerState | None = None
        self._told_at = float("-inf")

    @property
    def is_idle(self) -> bool:
        """Whether this worker held no work when it was looked at, and that was lately."""
        lately = time.monotonic() - self._told_at < 2 * EVERY_S
        return lately and self._told is not None and not self._told.running

    def beat(self) -> None:
        """Tell and hear until the process ends."""
        asyncio.run(self._beat())

    def leave(self) -> None:
        """Say that this worker is gone; nothing is told of it after."""
        if self._turn.acquire(timeout=TURN_S) and self._told is not None:
            with contextlib.suppress(RedisError, OSError):
                asyncio.run(self._leave(self._told))

    async def _beat(self) -> None:
        redis, name = connect(self._settings.events), name_of(self._settings)
        needs = Needs(redis, lease_s=self._settings.lease_s)
        while True:
            with self._turn:
                try:
                    # What was said comes first: a worker that is to leave takes nothing after, so idle is idle.
                    said = await needs.cordoned(name, since=self._since)
                    self._told = await state(needs, self._settings, self._engine, since=self._since)
                    self._told_at = time.monotonic()
                    await needs.tell(self._told)
                    self._obey(said, self._told.running)
                    FARM_SCRATCH.set(await asyncio.to_thread(scratch.used_bytes, self._settings))
                except (RedisError, OSError) as error:
                    get("farm").warning("not told how it goes", why=str(error))
                except Exception as error:  # whatever it is, who tells nothing more is taken for gone
                    get("farm").error("not told how it goes", exc_info=error)
            await asyncio.sleep(EVERY_S)

    async def _leave(self, told: WorkerState) -> None:
        redis = connect(self._settings.events)
        try:
            await Needs(redis, lease_s=self._settings.lease_s).leave(told)
        finally:
            await redis.aclose()
