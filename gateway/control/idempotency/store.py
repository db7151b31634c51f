"""SQL of requests by their idempotency keys."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.idempotency.model import Answer, Attempt, Kept

#: Ours when the key is new, or when whoever began with the same request is taken for dead.
BEGIN = """
insert into idempotency as known (principal, key, route, hash, attempt, at) values ($1, $2, $3, $4, $5, $6)
on conflict (principal, key, route) do update set attempt = excluded.attempt, at = excluded.at
where known.state = 'in_flight' and known.hash = excluded.hash and known.at < $7
returning attempt
"""
FIND = """
select hash, state, status, media_type, body from idempotency where principal = $1 and key = $2 and route = $3
"""
FINISH = """
update idempotency set state = 'done', status = $5, media_type = $6, body = $7
where principal = $1 and key = $2 and route = $3 and attempt = $4 and state = 'in_flight'
returning attempt
"""
RELEASE = """
delete from idempotency where principal = $1 and key = $2 and route = $3 and attempt = $4 and state = 'in_flight'
"""
SWEEP = "delete from idempotency where at < $1"


class IdempotencyStore:
    """Keys and their answers, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, attempt: Attempt, now: datetime, dead_before: datetime) -> bool:
        """Whether this attempt is the one that is to act."""
        values = (*_place(attempt), attempt.hash, attempt.attempt)
        return await self._connection.fetchval(BEGIN, *values, now, dead_before) is not None

    async def find(self, attempt: Attempt) -> Kept | None:
        """What is known of the key."""
        row = await self._connection.fetchrow(FIND, *_place(attempt))
        if row is None:
            return None
        is_done = row["state"] == "done"
        answer = Answer(row["status"], row["media_type"], row["body"]) if is_done else None
        return Kept(row["hash"], row["state"], answer)

    async def finish(self, attempt: Attempt, answer: Answer) -> bool:
        """Keep the answer; False when another attempt took the key over."""
        values = (*_place(attempt), attempt.attempt, *(answer.status, answer.media_type, answer.body))
        return await self._connection.fetchval(FINISH, *values) is not None

    async def release(self, attempt: Attempt) -> None:
        """Forget an attempt that had no effect."""
        await self._connection.execute(RELEASE, *_place(attempt), attempt.attempt)

    async def sweep(self, before: datetime) -> None:
        """Forget what is old."""
        await self._connection.execute(SWEEP, before)


def _place(attempt: Attempt) -> tuple[str, str, str]:
    return attempt.principal, attempt.key, attempt.route
