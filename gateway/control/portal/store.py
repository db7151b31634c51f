"""SQL of the one row of portal settings."""

from __future__ import annotations

from gateway.control.db import Connection


class PortalStore:
    """Rows of the one row of portal settings, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
