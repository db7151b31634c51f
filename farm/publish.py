"""The bucket: attempts, markers, and what a finished version consists of.

An attempt writes under `work/`; it becomes the chunk's result by the marker `done.json`, created on condition that
none exists; the winner's files alone are copied to `v/`. Every step may be repeated: the bytes stay the same.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import msgspec

from farm.editions import Edition
from farm.package import Piece
from farm.plan import Order
from farm.playlists import Track
from farm.stopping import unless
from shared.errors import EncodeFailed, NotFound
from shared.jobs import Finished
from shared.storage import Bucket, names

#: Objects written or copied at once.
AT_ONCE = 8
JSON_TYPE, PLAYLIST_TYPE, MP4_TYPE, JPEG_TYPE, VTT_TYPE = (
    "application/json",
    "application/vnd.apple.mpegurl",
    "video/mp4",
    "image/jpeg",
    "text/vtt",
)
Item = TypeVar("Item")


class Made(msgspec.Struct, frozen=True):
    """One object of an attempt, by its name under the version."""

    name: str
    size_bytes: int
    sha256: str


class Marker(msgspec.Struct, frozen=True):
    """`done.json`: the attempt that is the chunk's result, its objects, and the tracks (or parts of them) they are.

    `loudness_lufs`: of the sound that plays unless another is chosen, where that was measured.
    """

    attempt: str
    chunk: str
    objects: tuple[Made, ...]
    tracks: tuple[Track, ...] = ()
    samples: int = 0
    loudness_lufs: float | None = None

    def sha256(self, name: str) -> str:
        """The checksum of one object. Raises KeyError."""
        return {made.name: made.sha256 for made in self.objects}[name]


class Attempt:
    """One attempt at a chunk: takes objects, keeps count, and tries to become the result; writes no more once `stop`
    is set."""

    def __init__(
        self, bucket: Bucket, version: str, chunk: str, attempt: str, *, stop: asyncio.Event | None = None
    ) -> None:
        self._bucket, self._version, self._chunk, self._attempt = bucket, version, chunk, attempt
        self._stop = stop
        self._made: dict[str, Made] = {}

    async def write(
        self, folder: str, pieces: Iterable[Piece], content_type: str = MP4_TYPE, *, adopting: str = ""
    ) -> list[Piece]:
        """Write each piece under `folder` ("" for the version's own); gives them back without their bytes.

        `adopting`: the title whose version gets them at once, see `adopt`. Raises Stopped.
        """
        seen = []

        async def put(piece: Piece) -> None:
            name = f"{folder}/{piece.name}" if folder else piece.name
            seen.append(msgspec.structs.replace(piece, data=b""))
            data = await self.adopt(adopting, name, piece.data) if adopting else piece.data
            self._made[name] = Made(name, len(data), hashlib.sha256(data).hexdigest())
            await self._bucket.put(f"{self._prefix}/{name}", data, content_type=content_type)

        await unless(self._stop, each(pieces, put))
        return seen

    async def win(
        self, tracks: Iterable[Track] = (), samples: int = 0, *, loudness_lufs: float | None = None
    ) -> Marker:
        """Put the marker, or read the one that another attempt put first."""
        objects = tuple(self._made[name] for name in sorted(self._made))
        ours = Marker(self._attempt, self._chunk, objects, tuple(tracks), samples, loudness_lufs)
        key = names.done(self._version, self._chunk)
        if await self._bucket.put_if_absent(key, msgspec.json.encode(ours), content_type=JSON_TYPE):
            return ours
        theirs = await marker(self._bucket, self._version, self._chunk)
        return theirs or ours

    async def adopt(self, title: str, name: str, data: bytes, *, content_type: str = MP4_TYPE) -> bytes:
        """Publish an object before there is a marker, unless it is published: what lies there then, and stays.

        Another attempt may have published it, by another build of the encoder with other bytes: those count.
        """
        key = f"{names.version_prefix(title, self._version)}{name}"
        if await self._bucket.put_if_absent(key, data, content_type=content_type):
            return data
        return await self._bucket.get(key)

    async def agrees(self, title: str, name: str) -> bool:
        """Whether an object this attempt wrote is the same as the published one of that name, if there is one."""
        try:
            there = await self._bucket.get(f"{names.version_prefix(title, self._version)}{name}")
        except NotFound:
            return True
        return hashlib.sha256(there).hexdigest() == self._made[name].sha256

    @property
    def _prefix(self) -> str:
        return names.attempt(self._version, self._chunk, self._attempt)

    def size(self, name: str) -> int:
        """The size of an object this attempt wrote."""
        return self._made[name].size_bytes


async def order(bucket: Bucket, version: str) -> Order:
    """The plan of a version. Raises NotFound."""
    return msgspec.json.decode(await bucket.get(names.plan(version)), type=Order)


async def marker(bucket: Bucket, version: str, chunk: str) -> Marker | None:
    """The marker of a chunk, None while it is not done."""
    return await _read(bucket, names.done(version, chunk), Marker)


async def ready(bucket: Bucket, title: str, version: str) -> Finished | None:
    """ready.json of a version, None while it is not ready."""
    return await _read(bucket, names.ready(title, version), Finished)


async def _read(bucket: Bucket, key: str, kind: type[Item]) -> Item | None:
    try:
        return msgspec.json.decode(await bucket.get(key), type=kind)
    except NotFound:
        return None


async def copy_winner(bucket: Bucket, won: Marker, *, title: str, version: str) -> None:
    """Bring the winner's objects to `v/`: those that are there stay, so a repeat costs one look each."""
    source, target = names.attempt(version, won.chunk, won.attempt), names.version_prefix(title, version)

    async def copy(made: Made) -> None:
        there = await bucket.head(f"{target}{made.name}")
        if there is None or there.size_bytes != made.size_bytes:
            await bucket.copy(f"{source}/{made.name}", f"{target}{made.name}")

    await each(won.objects, copy)


async def put_edition(bucket: Bucket, made: Edition, *, title: str, version: str) -> None:
    """Write an edition and the media playlists it lists, which never change. Raises EncodeFailed where others lie."""
    texts = {names.media_playlist(title, version, name): text for name, text in made.indexes.items()}
    texts |= {names.multivariant(title, made.name, ceiling): text for ceiling, text in made.tops.items()}

    async def put(key: str) -> None:
        await put_same(bucket, key, texts[key].encode(), content_type=PLAYLIST_TYPE)

    await each(texts, put)


async def put_same(bucket: Bucket, key: str, data: bytes, *, content_type: str) -> None:
    """Write what nobody may change any more. Raises EncodeFailed where something else lies there."""
    if not await bucket.put_if_absent(key, data, content_type=content_type) and await bucket.get(key) != data:
        raise EncodeFailed(f"{key} is there already, and differs", code="published-differs")


async def remove_attempts(bucket: Bucket, version: str, chunks: Iterable[str]) -> None:
    """Remove what attempts wrote; plan and markers stay."""
    for chunk in chunks:
        keep = names.done(version, chunk)
        prefix = keep.removesuffix("done.json")
        await bucket.delete([info.key async for info in bucket.list_prefix(prefix) if info.key != keep])


async def each(items: Iterable[Item], work: Callable[[Item], Awaitable[None]]) -> None:
    """`work` on every item, begun in order, a few at once, taken only as fast as that; the first failure ends it."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def one(item: Item) -> None:
        try:
            await work(item)
        finally:
            slots.release()

    try:
        async with asyncio.TaskGroup() as group:
            for item in items:
                await slots.acquire()
                group.create_task(one(item))
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
