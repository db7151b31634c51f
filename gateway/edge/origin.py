"""The bucket as the edge reads it: by obstore, with deadlines and a circuit breaker, passed on while it arrives."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import msgspec
import obstore
from obstore.exceptions import BaseError, NotModifiedError, PermissionDeniedError
from obstore.store import LocalStore, ObjectStore, S3Store

from gateway.edge.breaker import Breaker
from gateway.edge.filling import Torn
from gateway.edge.objects import CHUNK_BYTES, in_pieces
from shared.errors import NotFound, StoreUnavailable
from shared.settings import EdgeSettings

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import S3Config

#: Objects above this are no segments; one is refused rather than held in memory.
MAX_OBJECT_BYTES: Final = 128 << 20
CONNECT_TIMEOUT_S, RETRY_TIMEOUT_S = 2, 5
#: An object that keeps moving may take this many deadlines from its first byte to its last.
DEADLINES: Final = 6


class Unchanged(Exception):
    """The object still is the one whose ETag was given."""


def store_of(settings: EdgeSettings) -> ObjectStore:
    """The store that `settings.bucket` names: `s3://name`, or a folder.

    obstore itself asks again: for a connection that fails or a 5xx, and by Range for the rest of a body that breaks
    off, if the ETag is the same.
    """
    if not settings.bucket.startswith("s3://"):
        return LocalStore(settings.bucket, mkdir=True)
    config: S3Config = {"region": settings.s3_region, "virtual_hosted_style_request": not settings.s3_endpoint}
    if settings.s3_endpoint:
        config["endpoint"] = settings.s3_endpoint
    if settings.s3_access_key:
        config["access_key_id"], config["secret_access_key"] = settings.s3_access_key, settings.s3_secret_key
    return S3Store(
        settings.bucket.removeprefix("s3://").strip("/"),
        config=config,
        client_options={
            "allow_http": settings.s3_endpoint.startswith("http://"),
            "connect_timeout": timedelta(seconds=CONNECT_TIMEOUT_S),
            "timeout": timedelta(seconds=DEADLINES * settings.origin_timeout_s),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S)},
    )


class Reading(msgspec.Struct):
    """An object on its way: what it is, and its bytes."""

    etag: str
    size: int
    pieces: AsyncGenerator[bytes, None]


class Origin:
    """Reads from a store. fails="closed": an unreachable store is StoreUnavailable, never an empty answer."""

    def __init__(self, store: ObjectStore, *, timeout_s: float, tick: Callable[[], float]) -> None:
        self._store, self.timeout_s = store, timeout_s
        self._is_remote = not isinstance(store, LocalStore)
        self.breaker = Breaker(tick=tick)

    async def open(self, key: str, *, unless: str = "") -> Reading:
        """Begin to read an object. Raises NotFound, StoreUnavailable within the deadline, Unchanged for `unless`."""
        options: GetOptions = {"if_none_match": unless} if unless else {}
        with self._asking(key):
            async with asyncio.timeout(self.timeout_s):
                found = await obstore.get_async(self._store, key, options=options)
            meta = found.meta
        if meta["size"] > MAX_OBJECT_BYTES:
            raise NotFound("This object is too large to be media.", key=key)
        return Reading(_etag(key, meta), meta["size"], self._pieces(found))

    async def has(self, key: str) -> bool:
        """Whether there is such an object. Raises StoreUnavailable."""
        with contextlib.suppress(NotFound), self._asking(key):
            async with asyncio.timeout(self.timeout_s):
                await obstore.head_async(self._store, key)
            return True
        return False

    async def close(self) -> None:
        """Let the store's threads finish: one that touches Python while the process ends aborts it."""
        await asyncio.sleep(0.1)

    @contextlib.contextmanager
    def _asking(self, key: str) -> Iterator[None]:
        """One question to the store, if the breaker admits it; what its answer means to us and to the breaker."""
        if not self.breaker.admits():
            raise StoreUnavailable(key=key)
        try:
            yield
        except (FileNotFoundError, ValueError) as error:
            self.breaker.succeeded()
            raise NotFound(key=key) from error
        except NotModifiedError as error:
            self.breaker.succeeded()
            raise Unchanged from error
        except PermissionDeniedError as error:
            self.breaker.succeeded()  # S3 says so of what is not there, too, to who may not list
            raise StoreUnavailable(key=key) from error
        except (BaseError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise StoreUnavailable(key=key) from error
        except BaseException:
            self.breaker.left()
            raise
        self.breaker.succeeded()

    async def _pieces(self, found: GetResult) -> AsyncGenerator[bytes, None]:
        """The body in pieces of exactly CHUNK_BYTES, the last one of the rest. Raises Torn unless all of it came."""
        size, arrived = found.meta["size"], 0
        try:
            async with contextlib.aclosing(self._streamed(found) if self._is_remote else self._read(found)) as pieces:
                async for piece in pieces:
                    arrived += len(piece)
                    yield piece
        except (BaseError, OSError, TimeoutError) as error:
            self.breaker.failed()
            raise Torn from error
        if arrived != size:
            raise Torn

    async def _read(self, found: GetResult) -> AsyncGenerator[bytes, None]:
        """From a folder all at once: a file comes in pieces at seven times the cost."""
        async with asyncio.timeout(self.timeout_s):
            data = memoryview(await found.bytes_async())
        for piece in in_pieces(data):
            yield piece

    async def _streamed(self, found: GetResult) -> AsyncGenerator[bytes, None]:
        stream, rest = found.stream(min_chunk_size=CHUNK_BYTES), bytearray()
        while True:
            async with asyncio.timeout(self.timeout_s):
                part = await anext(stream, b"")
            if not part:
                break
            if not rest and len(part) == CHUNK_BYTES:
                yield bytes(part)
                continue
            rest += part
            while len(rest) >= CHUNK_BYTES:
                yield bytes(memoryview(rest)[:CHUNK_BYTES])
                del rest[:CHUNK_BYTES]
        if rest:
            yield bytes(rest)


def _etag(key: str, meta: ObjectMeta) -> str:
    """The store's own tag; where it has none or a weak one, a tag of name, size and time of what lies there."""
    tag = meta["e_tag"] or ""
    bare = tag.strip('"')
    if bare and not tag.startswith("W/") and bare.isascii() and bare.isprintable() and '"' not in bare:
        return f'"{bare}"'
    known = f"{key}:{meta['size']}:{meta['last_modified'].timestamp()}"
    return f'"{hashlib.sha256(known.encode()).hexdigest()[:32]}"'
