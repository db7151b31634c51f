"""What control or another edge has ended: titles, viewers and sessions, up to which minting time."""

from __future__ import annotations

import math
from collections.abc import Mapping

from gateway.edge.refusals import TABLE, Refusal
from shared.events import Push
from shared.tokens import Claims

TAKEN_OVER = "taken-over"


def title_of(claims: Claims) -> str:
    """The title of the scope `v/<title>/`."""
    return claims.scope.split("/")[1]


class Revocations:
    """The revocations known here. `version` grows with each change, so a session knows when to look again."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[int, str]] = {}
        self.version = 0

    def apply(self, push: Push) -> None:
        """Take in one message. Safe to repeat; an earlier one never takes back a later one."""
        field = f"{push.kind}:{push.key}"
        if push.iat > self._held.get(field, (-1, ""))[0]:
            self._held[field] = push.iat, push.reason if push.reason in TABLE else "revoked"
            self.version += 1

    def replace(self, held: Mapping[str, int]) -> None:
        """Take over what Redis holds, after a time in which messages may have been lost. Seats keep takeovers."""
        kept = {field: entry for field, entry in self._held.items() if entry[1] == TAKEN_OVER}
        known = {field: self._held.get(field, (iat, "revoked")) for field, iat in held.items()}
        self._held = {f: (max(iat, known[f][0]), known[f][1]) for f, iat in held.items()} | kept
        self.version += 1

    def sweep(self, now: float) -> None:
        """Forget takeovers of sessions whose tokens have ended by themselves."""
        for field, (iat, reason) in list(self._held.items()):
            if reason == TAKEN_OVER and iat < now:
                del self._held[field]

    def check(self, claims: Claims) -> None:
        """Raise the Refusal of a token that is over."""
        for field in (f"title:{title_of(claims)}", f"sub:{claims.sub}", f"sid:{claims.sid}"):
            iat, reason = self._held.get(field, (-math.inf, ""))
            if claims.iat <= iat:
                raise Refusal(reason)
