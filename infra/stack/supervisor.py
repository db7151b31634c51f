"""The supervisor: starts children stage by stage, brings back those that die, ends each after those that need it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from infra.stack.child import Child, ChildDied, Spec
from infra.stack.mark import sweep

#: Seconds before a dead child is started again; doubled each time, back to the first after a calm while.
FIRST_PAUSE_S, LONGEST_PAUSE_S, CALM_S = 0.2, 10.0, 30.0

Say = Callable[[str], None]


class Supervisor:
    """Children of one run. `say` tells a person what happened."""

    def __init__(self, logs: Path, *, mark: str, say: Say) -> None:
        self._logs, self._mark, self._say = logs, mark, say
        self._stages: list[list[Child]] = []
        self._keepers: set[asyncio.Task[None]] = set()
        self._watchman: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Supervisor:
        # No site packages and a new session: small, and deaf to our Ctrl-C.
        self._watchman = await asyncio.create_subprocess_exec(
            *(sys.executable, "-S", "-E", str(Path(__file__).with_name("mark.py")), self._mark),
            stdin=asyncio.subprocess.PIPE,
            start_new_session=True,
            cwd="/",
        )
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """Process ids of the children by name."""
        return {child.spec.name: child.pid for stage in self._stages for child in stage}

    async def start(self, specs: Sequence[Spec]) -> None:
        """Start one stage and wait until all of it answers. Raises ChildDied with a child's last lines."""
        stage = [Child(spec, self._logs / f"{spec.name}.log") for spec in specs]
        self._stages.append(stage)
        for child in stage:
            await child.start()
        async with _first_error() as together:
            for child in stage:
                together.create_task(child.ready())
        for child in stage:
            keeper = asyncio.create_task(self._keep(child))
            self._keepers.add(keeper)
            keeper.add_done_callback(self._keepers.discard)

    async def stop(self) -> None:
        """End all children, each as soon as none is left that needs it, and whatever they left behind."""
        for keeper in list(self._keepers):
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        children = [child for stage in self._stages for child in stage]
        gone = {child.spec.name: asyncio.Event() for child in children}
        await asyncio.gather(*(_end(child, children, gone) for child in children))
        self._stages.clear()
        await asyncio.to_thread(sweep, self._mark, grace_s=0.1)
        if self._watchman and self._watchman.stdin:
            self._watchman.stdin.close()
            await self._watchman.wait()

    async def _keep(self, child: Child) -> None:
        """Start a child again whenever it ends."""
        pause_s = FIRST_PAUSE_S
        clock = asyncio.get_running_loop().time
        while True:
            since = clock()
            await child.wait()
            # What it forked may still hold its port.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            if clock() - since > CALM_S:
                pause_s = FIRST_PAUSE_S
            self._say(f"{child.obituary()}\nIt is started again in {pause_s:g} s.")
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            await child.start()
            with contextlib.suppress(ChildDied):
                await child.ready()
                self._say(f"{child.spec.name} answers again.")


async def _end(child: Child, children: Sequence[Child], gone: dict[str, asyncio.Event]) -> None:
    """Stop `child` once those that need it are gone."""
    for other in children:
        if child.spec.name in other.spec.needs:
            await gone[other.spec.name].wait()
    await child.stop()
    gone[child.spec.name].set()


@contextlib.asynccontextmanager
async def _first_error() -> AsyncIterator[asyncio.TaskGroup]:
    """A TaskGroup whose first error is raised as itself; `except*` would wrap what is raised in it anew."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
