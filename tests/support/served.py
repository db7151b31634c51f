"""A control plane of a test on a port, for browsers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import uvicorn

from tests.support.control import Control
from tests.support.patience import until


@contextlib.asynccontextmanager
async def served(control: Control, port: int) -> AsyncIterator[None]:
    """The app on a port. Who looks at its pages leaves before it stops."""
    server = uvicorn.Server(uvicorn.Config(control.app, port=port, lifespan="off", log_level="error"))
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started)
    yield
    server.should_exit = True
    await serving
