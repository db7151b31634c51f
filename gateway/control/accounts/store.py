"""SQL of accounts, logins, password resets and roles."""

from __future__ import annotations

from gateway.control.db import Connection


class AccountStore:
    """Rows of accounts, logins, password resets and roles, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
