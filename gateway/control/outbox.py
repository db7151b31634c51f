"""The outbox: what leaves the database is a row first, in the transaction that made it true."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client import Counter

from gateway.control.db import Connection
from shared.events import TYPES, Envelope, Push
from shared.ids import new_id
from shared.need import Offer

EVENT, TASK, PUSH = "event", "task", "push"

ADD = """
insert into outbox (id, topic, type, subject, data) values ($1, $2, $3, $4, $5)
"""
#: Rows in order; those another relay holds are skipped.
TAKE = """
select seq, id, topic, type, subject, at, v, data from outbox
where relayed_at is null and topic = $2 order by seq limit $1 for update skip locked
"""
#: What is ended and what is minted take turns: a link is minted wholly before a revocation of it, or wholly after.
END_ALONE = "select pg_advisory_xact_lock($1, hashtext($2))"
MINT_TOGETHER = "select pg_advisory_xact_lock_shared($1, hashtext($2))"
REVOKE = """
insert into revocation (kind, key, iat, reason) values ($1, $2, $3, $4)
on conflict (kind, key) do update
set iat = greatest(excluded.iat, revocation.iat + 1), reason = excluded.reason, at = now()
returning iat
"""
ENDED = """
select max(iat) from revocation where (kind, key) in (select * from unnest($1::text[], $2::text[]))
"""
REVOCATIONS = """
select kind, key, iat, reason from revocation where at > now() - make_interval(secs => $1) order by at
"""
SWEEP_REVOCATIONS = """
delete from revocation where at < now() - make_interval(secs => $1)
"""
RELAYED = """
update outbox set relayed_at = now() where seq = any($1::bigint[])
"""
#: Out of the line of those that wait; `relayed_at` says since when.
SET_ASIDE = """
update outbox o set relayed_at = now(), words = a.words
from unnest($1::bigint[], $2::text[]) as a (seq, words) where o.seq = a.seq
"""
#: What was set aside stays until somebody looked at it.
SWEEP = """
delete from outbox where relayed_at < now() - interval '7 days' and words is null
"""
WAITING = """
select count(*) from outbox where relayed_at is null
"""
AUDIT = """
insert into audit (actor, action, object, before, after, place) values ($1, $2, $3, $4, $5, $6)
"""

#: First key of the advisory locks of revocations (worker/turns.py has the others).
LOCK = 7310

#: Types of rows of topic task.
OFFER, WITHDRAWAL = "farm.offer", "farm.withdrawal"


class Withdrawal(msgspec.Struct, frozen=True):
    """Nothing of a plan is to be made any more. `is_over`: viewers need not wait for it. `stop`: whose workers stop."""

    plan: str
    is_over: bool = False
    stop: str = ""


class Row(msgspec.Struct, frozen=True):
    """One row on its way out."""

    seq: int
    topic: str
    envelope: Envelope


class Outbox:
    """Writes rows on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        #: Whether this transaction has said who acts in it, and what was done.
        self.is_recorded = False
        self._counted: list[tuple[Counter, float]] = []

    async def emit(self, type: str, subject: str, **data: Any) -> None:
        """Tell that something happened. `type` must be listed in shared/events.py; `data` holds ids and numbers."""
        if type not in TYPES:
            raise ValueError(f"the event type {type} is not listed in shared/events.py")
        await self._add(EVENT, type, subject, data=data)

    async def offer(self, offer: Offer) -> None:
        """Let the farm take pieces of a plan."""
        await self._add(TASK, OFFER, offer.plan, data=msgspec.to_builtins(offer))

    async def withdraw(self, withdrawal: Withdrawal) -> None:
        """Take back what was offered of a plan before."""
        await self._add(TASK, WITHDRAWAL, withdrawal.plan, data=msgspec.to_builtins(withdrawal))

    async def push(self, push: Push) -> Push:
        """End what was minted up to `push.iat`, or later if more was minted by then: told to all edges within a second.

        Gives the push as it is sent. Whoever mints for the same thing waits until this transaction ends (`ended`).
        """
        await self.alone(**{push.kind: push.key})
        iat = await self._connection.fetchval(REVOKE, push.kind, push.key, push.iat, push.reason)
        push = msgspec.structs.replace(push, iat=iat)
        await self._add(PUSH, f"push.{push.kind}", push.key, data=msgspec.to_builtins(push))
        return push

    async def alone(self, **keys: str) -> None:
        """Wait for whoever mints for any of these; the next waits until this transaction ends.

        Whoever will `push` asks for this before rows that minting takes too, else each waits for the other.
        """
        for kind, key in sorted(keys.items()):
            await self._connection.execute(END_ALONE, LOCK, f"{kind}:{key}")

    async def ended(self, **keys: str) -> int:
        """The iat up to which links for any of these (`title="ttl_…", sub="sub_…"`) are over; -1 for none.

        None of them is ended further until this transaction ends, so what is minted in it is not caught by a
        revocation that came before, and is by each that comes after.
        """
        for kind, key in sorted(keys.items()):
            await self._connection.execute(MINT_TOGETHER, LOCK, f"{kind}:{key}")
        iat = await self._connection.fetchval(ENDED, list(keys), list(keys.values()))
        return -1 if iat is None else int(iat)

    async def record(
        self, actor: str, action: str, object: str, *, before: Any = None, after: Any = None, place: str = ""
    ) -> None:
        """Record who did what, for good. `actor` and `object` are ids, as is whoever is told of in the rest.

        `place` is the network prefix it came from.
        """
        self.is_recorded = True
        await self._connection.execute(AUDIT, actor, action, object, before, after, place)

    async def audit(
        self, actor: str, action: str, object: str, *, before: Any = None, after: Any = None, place: str = ""
    ) -> None:
        """`record`, and tell it as `admin.action`."""
        await self.record(actor, action, object, before=before, after=after, place=place)
        await self.told(actor, action, object, before=before, after=after)

    async def told(self, actor: str, action: str, object: str, *, before: Any = None, after: Any = None) -> None:
        """Tell of what is on record as `admin.action`, without what people wrote: no event holds words of people."""
        await self.emit("admin.action", object, actor=actor, action=action, object=object, before=before, after=after)

    def count(self, counter: Counter, by: float = 1) -> None:
        """Let a counter rise once this transaction is committed: what is rolled back did not happen."""
        self._counted.append((counter, by))

    def committed(self) -> None:
        """The transaction is committed."""
        for counter, by in self._counted:
            counter.inc(by)

    async def take(self, count: int, *, topic: str) -> list[Row]:
        """The next rows of a topic, locked until the transaction ends; `relayed` those that left."""
        return [
            Row(
                row["seq"],
                row["topic"],
                Envelope(row["id"], row["type"], row["at"], row["subject"], row["data"], row["v"]),
            )
            for row in await self._connection.fetch(TAKE, count, topic)
        ]

    async def relayed(self, seqs: list[int]) -> None:
        """Mark rows as gone."""
        await self._connection.execute(RELAYED, seqs)

    async def set_aside(self, words: Mapping[int, str]) -> None:
        """Keep rows that can never leave, with why that is, out of the way of those behind them."""
        if words:
            await self._connection.execute(SET_ASIDE, list(words), list(words.values()))

    async def revocations(self, seconds: int) -> list[Push]:
        """What was ended in the last `seconds`, in order."""
        return [Push(*row) for row in await self._connection.fetch(REVOCATIONS, float(seconds))]

    async def waiting(self) -> int:
        """How many rows have not left yet."""
        return int(await self._connection.fetchval(WAITING))

    async def sweep(self, *, revocations_s: int) -> None:
        """Drop rows that left a week ago, and revocations that are `revocations_s` old."""
        await self._connection.execute(SWEEP)
        await self._connection.execute(SWEEP_REVOCATIONS, float(revocations_s))

    async def _add(self, topic: str, type: str, subject: str, *, data: dict[str, Any]) -> None:
        await self._connection.execute(ADD, new_id("evt"), topic, type, subject, data)
