"""A request under the key its sender gave it, the answer that is kept for it, and what a second one is told."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from shared.errors import InFlight, Invalid, KeyReused

HEADER = "Idempotency-Key"
#: Says that an answer is the one that was given before.
REPLAYED = "Idempotency-Replayed"
#: After this time whoever began is taken for dead, and the next request with the key begins anew.
IN_FLIGHT_S = 60
#: How long answers are kept.
KEPT_S = 7 * 24 * 3600
_KEY = re.compile(r"[\x21-\x7e]{1,200}\Z")


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try at a request: who sent it, under which key, to which route, what it says, and which try this is."""

    principal: str
    key: str
    route: str
    hash: bytes
    attempt: str


class Answer(msgspec.Struct, frozen=True):
    """What a request was answered with."""

    status: int
    media_type: str | None
    body: bytes


class Kept(msgspec.Struct, frozen=True):
    """What is known of a key; the answer once there is one."""

    hash: bytes
    state: Literal["in_flight", "done"]
    answer: Answer | None


class Requests(Protocol):
    """What the actions ask of storage."""

    async def begin(self, attempt: Attempt, now: datetime, dead_before: datetime) -> bool: ...
    async def find(self, attempt: Attempt) -> Kept | None: ...
    async def finish(self, attempt: Attempt, answer: Answer) -> bool: ...
    async def release(self, attempt: Attempt) -> None: ...
    async def sweep(self, before: datetime) -> None: ...


def key_of(header: str | None) -> str:
    """The key a request carries. Raises Invalid for none, and for one that is no key."""
    if not header:
        raise Invalid(
            f"This writes value, so it needs a header {HEADER} with a text of your choice, such as a UUID: "
            "sent again with the same, it has its effect once.",
            code="idempotency-key-missing",
        )
    if not _KEY.match(header):
        raise Invalid(f"{HEADER} is 1 to 200 characters of ASCII without spaces.", code="idempotency-key-wrong")
    return header


def decide(kept: Kept | None, attempt: Attempt) -> Answer:
    """What a request is told whose key was begun before. Raises KeyReused and InFlight."""
    if kept is not None and kept.hash != attempt.hash:
        raise KeyReused(f"This {HEADER} came with another request before; take a new one.")
    if kept is None or kept.answer is None:
        raise InFlight("The first request with this key is not answered yet; ask again in a moment.")
    return kept.answer


def hash_of(path: str, query: str, body: object) -> bytes:
    """What a request says, whatever the spelling of its JSON."""
    return hashlib.sha256(msgspec.json.encode((path, query, body))).digest()
