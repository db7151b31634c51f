"""SQL of transcode jobs and their chunks."""

from __future__ import annotations

from gateway.control.db import Connection


class JobStore:
    """Rows of transcode jobs and their chunks, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
