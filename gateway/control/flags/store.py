"""SQL of flags."""

from __future__ import annotations

from gateway.control.db import Connection


class FlagStore:
    """Rows of flags, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
