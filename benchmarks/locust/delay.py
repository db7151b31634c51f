"""A proxy that is slow on purpose: every request reaches the edge a while late."""

from __future__ import annotations

import asyncio
from types import TracebackType

CHUNK = 1 << 16


class Delay:
    """Listens on `port` and passes on to `target`, what clients send `delay_s` late."""

    def __init__(self, port: int, target: int, *, delay_s: float) -> None:
        self._port, self._target, self._delay_s = port, target, delay_s
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Delay:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port, backlog=1024)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, before = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.close()
            return
        for task in (
            asyncio.create_task(_pass_on(reader, before, delay_s=self._delay_s)),
            asyncio.create_task(_pass_on(behind, writer)),
        ):
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, delay_s: float = 0.0) -> None:
    try:
        while data := await reader.read(CHUNK):
            await asyncio.sleep(delay_s)
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()
