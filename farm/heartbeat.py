"""What a worker tells of itself each few seconds, and what it is told: to rest, or to leave."""

from __future__ import annotations

import asyncio
import os
import socket
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


def name_of(settings: FarmSettings) -> str:
    """The name of this worker."""
    return settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"


async def state(needs: Needs, name: str, engine: Engine, *, since: float) -> WorkerState:
    """This worker, now."""
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
    )


def beat(settings: FarmSettings, engine: Engine, obey: Callable[[str, Sequence[str]], None]) -> None:
    """Tell and hear until the process ends; `obey` gets what was said of this worker, and the work it holds."""
    asyncio.run(_beat(settings, engine, obey))


async def _beat(settings: FarmSettings, engine: Engine, obey: Callable[[str, Sequence[str]], None]) -> None:
    redis, name, since = connect(settings.events), name_of(settings), time.time()
    needs = Needs(redis, lease_s=settings.lease_s)
    while True:
        try:
            told = await state(needs, name, engine, since=since)
            await needs.tell(told)
            obey(await needs.cordoned(name), told.running)
            FARM_SCRATCH.set(await asyncio.to_thread(scratch.used_bytes, settings))
        except (RedisError, OSError) as error:
            get("farm").warning("not told how it goes", why=str(error))
        await asyncio.sleep(EVERY_S)
