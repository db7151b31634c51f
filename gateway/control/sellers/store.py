"""SQL of sellers and their members."""

from __future__ import annotations

from gateway.control.db import Connection


class SellerStore:
    """Rows of sellers and their members, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
