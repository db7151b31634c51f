"""SQL of rights to watch."""

from __future__ import annotations

from gateway.control.db import Connection


class EntitlementStore:
    """Rows of rights to watch, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
