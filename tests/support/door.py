"""The door: what playback asks of a token and a path, in its order, as one call."""

from __future__ import annotations

import asyncio
import weakref
from pathlib import Path

import msgspec

from gateway.edge import gate
from gateway.edge.keyring import Keyring, parse
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import Targets
from gateway.edge.verified import Failures, Verified
from shared import keys
from shared.tokens import Claims


class Door:
    """An edge's way from a request's first bytes to its seat, with the keys of `key_set`, and as patient as can be."""

    def __init__(self, key_set: keys.KeySet) -> None:
        keyring = Keyring("", Path("no keys on disk"), tick=lambda: 0.0)
        keyring.keys = parse(msgspec.json.encode(keys.jwks(key_set))).keys
        patient = Failures(tick=lambda: 0.0, per_address=10**9, total=10**9)
        self._verified, self._targets = Verified(keyring, patient), Targets()
        self._loop = asyncio.new_event_loop()
        weakref.finalize(self, self._loop.close)

    def admit(self, token: str, path: str, *, now: float, device: str = "") -> Claims:
        """The claims of a token that opens `path`. Raises Refusal."""
        target = self._targets.of(path.encode())
        sent = token.encode()
        claims = self._verified.known(sent)
        if claims is None:
            claims = self._loop.run_until_complete(self._verified.claims(sent, "192.0.2.1"))
        gate.permit(claims, target, now=now, device=device)
        return claims

    def refusal(self, token: str, path: str, *, now: float, device: str = "") -> str:
        """The code of the refusal; empty where it opens."""
        try:
            self.admit(token, path, now=now, device=device)
        except Refusal as refused:
            return refused.code
        return ""
