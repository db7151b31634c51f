"""Finds who a session cookie or bearer value belongs to."""

from __future__ import annotations

from typing import Any

from gateway.control.auth import Principal
from gateway.control.db import Begin
from shared.clock import Clock
from shared.secrets import Secrets


class SessionFinder:
    """Checks the HMAC of a signed session, then the login's row."""

    def __init__(self, begin: Begin[Any], secrets: Secrets, clock: Clock) -> None:
        self._begin, self._secrets, self._clock = begin, secrets, clock

    async def find(self, signed: str) -> Principal | None:
        """The principal of a signed session; None when it is forged, ended or expired."""
        return None
