"""A control plane of a test on a port, for browsers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn
from msgspec.structs import replace

from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import Control, running_control
from tests.support.patience import until
from tests.support.ports import free_port


@contextlib.asynccontextmanager
async def served(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Control]:
    """The app on a port of its own. Who looks at its pages leaves before it stops."""
    port = free_port()
    async with running_control(replace(settings, public_origin=f"http://127.0.0.1:{port}"), clock) as control:
        server = uvicorn.Server(uvicorn.Config(control.app, port=port, lifespan="off", log_level="error"))
        serving = asyncio.create_task(server.serve())

        async def started() -> bool:
            return server.started

        try:
            await until(started)
            yield control
        finally:
            server.should_exit = True
            await serving
