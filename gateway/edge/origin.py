"""The bucket as the edge reads it: one object, whole, by obstore, with a deadline."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from gateway.edge.objects import Object, in_pieces
from shared.errors import NotFound, StoreUnavailable
from shared.settings import EdgeSettings

if TYPE_CHECKING:
    from obstore.store import S3Config

#: Objects above this are no segments; one is refused rather than held in memory.
MAX_OBJECT_BYTES: Final = 256 << 20
CONNECT_TIMEOUT_S, RETRY_TIMEOUT_S = 2, 5
#: Objects fetched at once; more wait for their turn within their deadline.
CONCURRENT: Final = 64


def store_of(settings: EdgeSettings) -> ObjectStore:
    """The store that `settings.bucket` names: `s3://name`, or a folder."""
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
            "timeout": timedelta(seconds=settings.origin_timeout_s),
        },
        retry_config={"max_retries": 2, "retry_timeout": timedelta(seconds=RETRY_TIMEOUT_S)},
    )


class Origin:
    """Reads from a store. fails="closed": an unreachable store is StoreUnavailable, never an empty answer."""

    def __init__(self, store: ObjectStore, *, timeout_s: float) -> None:
        self._store, self._timeout_s = store, timeout_s
        self._turns = asyncio.Semaphore(CONCURRENT)

    async def read(self, key: str) -> Object:
        """The whole object. Raises NotFound, or StoreUnavailable within `timeout_s`."""
        try:
            async with asyncio.timeout(self._timeout_s), self._turns:
                found = await obstore.get_async(self._store, key)
                meta = found.meta
                if meta["size"] > MAX_OBJECT_BYTES:
                    raise NotFound("This object is too large to be media.", key=key)
                data = await found.bytes_async()
        except (FileNotFoundError, ValueError) as error:
            raise NotFound(key=key) from error
        except (BaseError, OSError, TimeoutError) as error:
            raise StoreUnavailable(key=key) from error
        return Object(_etag(meta["e_tag"], key=key, size=meta["size"]), len(data), in_pieces(memoryview(data)))

    async def close(self) -> None:
        """Let the store's threads finish: one that touches Python while the process ends aborts it."""
        await asyncio.sleep(0.1)


def _etag(tag: str | None, *, key: str, size: int) -> str:
    """The store's own tag; where it has none or a weak one, a tag of the name, whose bytes never change."""
    bare = (tag or "").strip('"')
    if tag and not tag.startswith("W/") and bare.isascii() and bare.isprintable() and '"' not in bare:
        return f'"{bare}"'
    return f'"{hashlib.sha256(f"{key}:{size}".encode()).hexdigest()[:32]}"'
