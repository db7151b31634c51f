"""Control and its worker as processes, as `usher run` starts them: killed at any moment, and started again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from infra.stack.child import Spec, own_session
from infra.stack.home import Home
from infra.stack.plan import app_spec, make
from shared.settings import ControlSettings, variable
from tests.support.ports import free_base

START_WITHIN_S = 60.0
PARTS = ("control", "worker")


def spawn(spec: Spec, log: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """A process of the plan, which dies with this one; what it says is added to `log`."""
    with log.open("ab") as said:
        return subprocess.Popen(
            [*spec.argv, *arguments],
            env=dict(spec.environ),
            cwd=spec.cwd,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=own_session(os.getpid(), signal.SIGKILL),
        )


class Processes:
    """Both on the database, the Redis and the folder of `settings`; `origin` is where control answers."""

    def __init__(self, settings: ControlSettings, **more: str) -> None:
        home = Home(settings.home)
        home.make()
        own = {"database_url": settings.database_url, "redis_url": settings.redis_url, **more}
        environ = {**os.environ, "USHER_PORT_BASE": str(free_base())}
        environ |= {variable(name): value for name, value in own.items()}
        plan = make(home, environ, mark="test", parts=PARTS)
        self.origin = plan.origin
        self._specs = {part: app_spec(plan, part) for part in PARTS}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._logs: Mapping[str, Path] = {part: settings.home / f"{part}.log" for part in PARTS}

    async def start(self, part: str) -> None:
        """Start a part and wait until it is ready."""
        process = self._running[part] = spawn(self._specs[part], self._logs[part])
        until = time.monotonic() + START_WITHIN_S
        while not await self._specs[part].probe.answers():
            assert process.poll() is None, self._logs[part].read_text()[-4000:]
            assert time.monotonic() < until, self._logs[part].read_text()[-4000:]
            await asyncio.sleep(0.03)

    def kill(self, part: str) -> None:
        """SIGKILL to all of a part's processes; no error when it does not run."""
        process = self._running.pop(part, None)
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    async def replace(self, part: str) -> None:
        """Kill a part and start it again, as a supervisor does."""
        self.kill(part)
        await self.start(part)


@contextlib.asynccontextmanager
async def processes(settings: ControlSettings, **more: str) -> AsyncIterator[Processes]:
    """Both running. `more` are USHER_* of them, in lower case without the prefix."""
    made = Processes(settings, **more)
    try:
        for part in PARTS:
            await made.start(part)
        yield made
    finally:
        for part in PARTS:
            made.kill(part)
