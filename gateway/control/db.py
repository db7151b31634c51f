"""Postgres: one pool, and `begin()`, the transaction in which an action does its one thing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Generic, Protocol, TypeVar

import asyncpg
import msgspec
from asyncpg.transaction import Transaction

from shared.errors import Invalid, Unavailable

Unit = TypeVar("Unit")
Connection = asyncpg.pool.PoolConnectionProxy
Begin = Callable[[], AbstractAsyncContextManager[Unit]]
CONNECT_DEADLINE_S = 15
#: What tells that Postgres is gone, going or full, or made this transaction give way to another (a deadlock), wherever
#: in a transaction it happens: trying again helps.
GONE = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.TransactionRollbackError,
)
#: How asyncpg tells that a connection ended before it was asked something.
LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError)
#: What tells that no transaction was begun, since the connection ended before.
ENDED = (ConnectionError, asyncpg.PostgresConnectionError, asyncpg.OperatorInterventionError, *LOST)
UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError, UnicodeEncodeError)


async def open_pool(url: str, size: int) -> asyncpg.Pool:
    """A pool whose connections speak JSON through msgspec and amounts of money as integers.

    Nothing outlasts a transaction on them (`set local`, locks of transactions, no LISTEN; worker/turns.py takes care of
    its own), so none is cleaned on its way back: that would be one more round trip for each. Nor is it seen there that
    one ended, so a transaction passes over those. Waits while Postgres is still starting.
    """
    for attempt in range(CONNECT_DEADLINE_S * 4):
        try:
            return await asyncpg.create_pool(
                url, min_size=1, max_size=size, init=_init, reset=_leave, command_timeout=15
            )
        except (OSError, asyncpg.CannotConnectNowError):
            if attempt == CONNECT_DEADLINE_S * 4 - 1:
                raise
            await asyncio.sleep(0.25)
    raise AssertionError("unreachable")


class Stored(Protocol):
    """The stores of a transaction."""

    def committed(self) -> None:
        """It is committed; never called for one that is rolled back."""


AllStores = TypeVar("AllStores", bound=Stored)


class Database(Generic[AllStores]):
    """Transactions on a pool; each yields the stores of all features on one connection."""

    def __init__(self, pool: asyncpg.Pool, unit: Callable[[Connection], AllStores]) -> None:
        self.pool, self._unit = pool, unit

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AllStores]:
        """One transaction: committed at the end, rolled back on any error.

        Raises Unavailable without Postgres or after a deadlock, and Invalid for text that Postgres cannot hold (a zero
        byte).
        """
        try:
            async with _transaction(self.pool) as connection:
                unit = self._unit(connection)
                yield unit
            unit.committed()
        except GONE as error:
            raise Unavailable("The database did not answer; try again in a moment.") from error
        except UNSTORABLE as error:
            raise Invalid("The request holds a character that cannot be part of a text.") from error


@asynccontextmanager
async def _transaction(pool: asyncpg.Pool) -> AsyncIterator[Connection]:
    """A connection of the pool with a transaction on it, as asyncpg's own, but a connection lost on the way is told as
    that, not as a misuse of the interface. One that is lost on its way back changes nothing of what was done on it.
    """
    connection, transaction = await _begun(pool)
    try:
        async with _ended(connection, transaction):
            yield connection
    finally:
        await _give_back(pool, connection)


async def _begun(pool: asyncpg.Pool) -> tuple[Connection, Transaction]:
    """A transaction on a connection that lives: those that ended while nobody had them are passed over."""
    for _ in range(pool.get_max_size() + 1):
        connection = await pool.acquire(timeout=5)
        try:
            transaction = connection.transaction()
            await transaction.start()
            return connection, transaction
        except ENDED:
            _drop(connection)
            await _give_back(pool, connection)
        except BaseException:
            await _give_back(pool, connection)
            raise
    raise ConnectionError("connections were lost as soon as they were made")


@asynccontextmanager
async def _ended(connection: Connection, transaction: Transaction) -> AsyncIterator[None]:
    """Committed at the end, rolled back on any error."""
    try:
        yield
    except BaseException as error:
        if isinstance(error, asyncpg.InternalClientError):
            _drop(connection)  # Postgres ended it just now, and what it said of that was taken for an answer
        with suppress(*LOST):  # what is lost cannot be rolled back, and need not be
            await transaction.rollback()
        if isinstance(error, LOST) and _is_lost(connection):
            raise ConnectionError("the connection was lost between two statements") from error
        raise
    try:
        await transaction.commit()
    except LOST as error:
        _drop(connection)
        raise ConnectionError("the connection was lost before the commit") from error


async def _give_back(pool: asyncpg.Pool, connection: Connection) -> None:
    with suppress(*GONE, *LOST):  # the pool ends it and makes another
        await pool.release(connection)


def _drop(connection: Connection) -> None:
    with suppress(asyncpg.InterfaceError):  # the pool took it back already
        connection.terminate()


def _is_lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:  # the pool took it back already
        return True


async def _init(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("numeric", schema="pg_catalog", encoder=_digits, decoder=int, format="text")
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: msgspec.json.encode(value).decode(),
        decoder=lambda text: msgspec.json.decode(text.encode()),
    )


async def _leave(connection: asyncpg.Connection) -> None:
    """Instead of asyncpg's four statements; a transaction that is still open it has rolled back before."""


def _digits(amount: object) -> str:
    """An amount for Postgres, which would take a fraction and round it. Raises TypeError for what is no integer."""
    if type(amount) is not int:
        raise TypeError(f"{amount!r} is no integer")
    return str(amount)
