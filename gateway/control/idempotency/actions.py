"""What is done with keys: begin or hear the answer again, act in one transaction with it, let go after a refusal."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

from gateway.control.db import Begin
from gateway.control.idempotency.model import IN_FLIGHT_S, KEPT_S, Answer, Attempt, Requests, decide
from shared.clock import Clock
from shared.errors import InFlight, UsherError


class Stores(Protocol):
    """One transaction, of whatever else besides."""

    @property
    def idempotency(self) -> Requests: ...


Unit = TypeVar("Unit", bound=Stores)


class Effect(Generic[Unit]):
    """The one transaction in which a request acts and its answer is kept: both become true or neither."""

    def __init__(self, attempt: Attempt, begin: Begin[Unit], stack: AsyncExitStack) -> None:
        self._attempt, self._begin, self._stack = attempt, begin, stack
        self._unit: Unit | None = None

    async def unit(self) -> Unit:
        """The transaction, opened when it is first asked for; committed once the answer is kept."""
        if self._unit is None:
            self._unit = await self._stack.enter_async_context(self._begin())
        return self._unit

    async def keep(self, answer: Answer) -> None:
        """Keep the answer. Raises InFlight, which undoes the effect, when another attempt has taken the key over."""
        if not await (await self.unit()).idempotency.finish(self._attempt, answer):
            raise InFlight("This request took so long that another attempt at it has begun; ask again in a moment.")


async def start(attempt: Attempt, *, begin: Begin[Stores], clock: Clock) -> Answer | None:
    """Claim the key, in a transaction of its own; the kept answer instead where there is one.

    Raises KeyReused for another request's key, InFlight while the first is not answered, Unavailable (fails="closed").
    """
    now = clock.now()
    async with begin() as unit:
        if await unit.idempotency.begin(attempt, now, now - timedelta(seconds=IN_FLIGHT_S)):
            return None
        return decide(await unit.idempotency.find(attempt), attempt)


@asynccontextmanager
async def effect(attempt: Attempt, *, begin: Begin[Unit]) -> AsyncIterator[Effect[Unit]]:
    """Act on a claimed key. After an error nothing was done and the key is free again.

    Where that cannot be told (Postgres is gone, this process dies) the key is free after `IN_FLIGHT_S`, unless the
    transaction was committed after all: then its answer is there.
    """
    try:
        async with AsyncExitStack() as stack:
            yield Effect(attempt, begin, stack)
    except BaseException:
        with suppress(UsherError):
            async with begin() as unit:
                await unit.idempotency.release(attempt)
        raise


async def sweep(*, requests: Requests, clock: Clock) -> None:
    """Forget answers that nobody will ask for again."""
    await requests.sweep(clock.now() - timedelta(seconds=KEPT_S))
