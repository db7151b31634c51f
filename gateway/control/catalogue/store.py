"""SQL of titles."""

from __future__ import annotations

from gateway.control.db import Connection


class TitleStore:
    """Rows of titles, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
