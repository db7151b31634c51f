"""SQL of webhooks out: endpoints, and what is delivered to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from gateway.control.db import Connection
from gateway.control.webhooks.model import LEASE, Delivery, Endpoint, Standing

ENDPOINT = """
select id, seller, url, types, secret, old_secret, old_until, active, words, failing_since, created_at
from webhook_endpoint where """
DELIVERY = """
select id, endpoint, event, type, body, state, attempts, due_at, status, words, created_at, done_at
from webhook_delivery where """

ADD = """
insert into webhook_endpoint (
    id, seller, url, types, secret, old_secret, old_until, active, words, failing_since, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
FIND = ENDPOINT + "id = $1"
LOCK = ENDPOINT + "id = $1 for no key update"
OF_SELLER = ENDPOINT + "seller = $1 order by created_at, id"
OF_PLATFORM = ENDPOINT + "seller is null order by created_at, id"
#: What is not active is not due.
PUT = """
update webhook_endpoint set url = $2, types = $3, secret = $4, old_secret = $5, old_until = $6, active = $7, words = $8,
    failing_since = $9, due_at = case when $7 then due_at end where id = $1
"""
REMOVE = "delete from webhook_endpoint where id = $1"
LISTENING = """
select id from (
    select id, types from webhook_endpoint where seller = $1 and active
    union all select id, types from webhook_endpoint where seller is null and active
) e where types = '{}' or $2 = any(types) order by id
"""
#: Endpoints of which something is due; nobody else takes them until their lease is over, or they are scheduled anew.
_TAKE = """
update webhook_endpoint set due_at = $2 where id = any(array(
    select id from webhook_endpoint where due_at <= $1 and failing_since is {} order by due_at limit $3
    for no key update skip locked
))
returning id, seller, url, types, secret, old_secret, old_until, active, words, failing_since, created_at
"""
TAKE_WELL = _TAKE.format("null")
TAKE_FAILING = _TAKE.format("not null")
WAKE = "update webhook_endpoint set due_at = least(due_at, $2) where id = $1 and active"
#: Its row is held by `LOCK` before, so a delivery that is added meanwhile is either seen here or wakes it afterwards.
SCHEDULE = """
update webhook_endpoint e set due_at = (
    select min(d.due_at) from webhook_delivery d where d.endpoint = e.id and d.state = 'waiting'
) where id = $1 and active
"""
#: An endpoint that is being removed at this moment gets none.
ADD_DELIVERY = """
insert into webhook_delivery (
    id, endpoint, event, type, body, state, attempts, due_at, status, words, created_at, done_at)
select $1, id, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12 from webhook_endpoint where id = $2 for no key update
on conflict (endpoint, event) do nothing returning id
"""
#: Counted as a try before it is sent: one that dies on the way has tried.
LEASED = """
update webhook_delivery set attempts = attempts + 1, due_at = $3 where id = any(array(
    select id from webhook_delivery where endpoint = $1 and state = 'waiting' and due_at <= $2
    order by due_at limit $4 for no key update skip locked
)) returning id, endpoint, event, type, body, state, attempts, due_at, status, words, created_at, done_at
"""
BY_ID = DELIVERY + "id = $1"
PUT_DELIVERY = """
update webhook_delivery set state = $2, attempts = $3, due_at = $4, status = $5, words = $6, done_at = $7 where id = $1
"""
_BEFORE = """
($2 = '' or (created_at, id) < (
    select b.created_at, b.id from webhook_delivery b where b.id = $2 and b.endpoint = $1))
order by created_at desc, id desc limit $3
"""
PAGE_OF = DELIVERY + "endpoint = $1 and " + _BEFORE
PAGE_OF_DEAD = DELIVERY + "endpoint = $1 and state = 'dead' and " + _BEFORE
GIVE_UP = """
update webhook_delivery set state = 'dead', due_at = null, done_at = $3, words = $2
where endpoint = $1 and state = 'waiting'
"""
DEAD_OF = DELIVERY + "endpoint = $1 and state = 'dead' order by created_at desc, id desc limit $2"
DEAD = DELIVERY + "state = 'dead' order by created_at desc, id desc limit $1"
STANDINGS = """
select id, seller, url, active, words, failing_since,
    (select count(*) from webhook_delivery d where d.endpoint = e.id and d.state = 'waiting') as waiting,
    (select count(*) from webhook_delivery d where d.endpoint = e.id and d.state = 'dead') as dead
from webhook_endpoint e order by seller nulls first, created_at, id
"""
WAITING = "select count(*) from webhook_delivery where state = 'waiting'"
SWEEP = "delete from webhook_delivery where done_at < $1"


class WebhookStore:
    """Rows of webhooks, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, endpoint: Endpoint) -> None:
        """A new endpoint."""
        await self._connection.execute(ADD, *msgspec.structs.astuple(endpoint))

    async def find(self, id: str, *, lock: bool = False) -> Endpoint | None:
        """An endpoint; `lock` holds its row until the transaction ends."""
        row = await self._connection.fetchrow(LOCK if lock else FIND, id)
        return Endpoint(**row) if row else None

    async def of(self, seller: str | None) -> list[Endpoint]:
        """All endpoints of a seller, or of the platform, the oldest first."""
        query, values = (OF_PLATFORM, []) if seller is None else (OF_SELLER, [seller])
        return [Endpoint(**row) for row in await self._connection.fetch(query, *values)]

    async def put(self, endpoint: Endpoint) -> None:
        """Replace what can change."""
        what = (endpoint.id, endpoint.url, list(endpoint.types), endpoint.secret, endpoint.old_secret)
        rest = (endpoint.old_until, endpoint.active, endpoint.words, endpoint.failing_since)
        await self._connection.execute(PUT, *what, *rest)

    async def remove(self, id: str) -> None:
        """Drop an endpoint with its deliveries."""
        await self._connection.execute(REMOVE, id)

    async def listening(self, seller: str, type: str) -> list[str]:
        """Ids of the active endpoints that want this of this seller: its own, and the platform's."""
        return [row["id"] for row in await self._connection.fetch(LISTENING, seller, type)]

    async def take(self, *, failing: bool, now: datetime, count: int) -> list[Endpoint]:
        """Endpoints of which something is due, for as long as a lease."""
        query = TAKE_FAILING if failing else TAKE_WELL
        return [Endpoint(**row) for row in await self._connection.fetch(query, now, now + LEASE, count)]

    async def wake(self, id: str, at: datetime) -> None:
        """Something of an endpoint is due then, if not before."""
        await self._connection.execute(WAKE, id, at)

    async def schedule(self, id: str) -> None:
        """Let an endpoint be due when the first of its deliveries is; whoever calls this holds its row."""
        await self._connection.execute(SCHEDULE, id)

    async def standings(self) -> list[Standing]:
        """All endpoints, with how much waits and how much was given up."""
        return [Standing(**row) for row in await self._connection.fetch(STANDINGS)]

    async def add_delivery(self, delivery: Delivery) -> bool:
        """A new delivery; False when the endpoint has one of this event."""
        return await self._connection.fetchval(ADD_DELIVERY, *msgspec.structs.astuple(delivery)) is not None

    async def lease(self, endpoint: str, *, now: datetime, count: int) -> list[Delivery]:
        """Deliveries that are due, counted as tried; nobody else takes them until the lease is over."""
        return _deliveries(await self._connection.fetch(LEASED, endpoint, now, now + LEASE, count))

    async def delivery(self, id: str) -> Delivery | None:
        """A delivery."""
        row = await self._connection.fetchrow(BY_ID, id)
        return Delivery(**row) if row else None

    async def put_delivery(self, delivery: Delivery) -> None:
        """Replace what can change."""
        what = (delivery.id, delivery.state, delivery.attempts, delivery.due_at, delivery.status, delivery.words)
        await self._connection.execute(PUT_DELIVERY, *what, delivery.done_at)

    async def deliveries(self, endpoint: str, *, state: str, before: str, count: int) -> list[Delivery]:
        """A page of deliveries, the newest first; with `state` dead those alone, with `before` those older than it."""
        query = PAGE_OF_DEAD if state == "dead" else PAGE_OF
        return _deliveries(await self._connection.fetch(query, endpoint, before, count))

    async def give_up(self, endpoint: str, words: str, now: datetime) -> None:
        """Nothing that waits for an endpoint is sent any more."""
        await self._connection.execute(GIVE_UP, endpoint, words, now)

    async def dead(self, endpoint: str, count: int) -> list[Delivery]:
        """Deliveries that were given up, of all endpoints for an empty id, the newest first."""
        if not endpoint:
            return _deliveries(await self._connection.fetch(DEAD, count))
        return _deliveries(await self._connection.fetch(DEAD_OF, endpoint, count))

    async def waiting(self) -> int:
        """How many deliveries wait."""
        return int(await self._connection.fetchval(WAITING))

    async def sweep(self, before: datetime) -> None:
        """Forget deliveries that were done with by then."""
        await self._connection.execute(SWEEP, before)


def _deliveries(rows: list[Any]) -> list[Delivery]:
    return [Delivery(**row) for row in rows]
