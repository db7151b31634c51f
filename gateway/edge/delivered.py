"""Delivered: which segments a session was sent, as bitmaps, and their way to the stream of watch time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.edge.bitmaps import MAX_INDEX, grown, packed
from gateway.edge.counts import Counts
from shared import log
from shared.events import STREAM_LENGTH
from shared.watch import WATCH_STREAM, Watched

#: Reels that wait for Redis; the longest waiting is lost when there are more.
WAITING: Final = 100_000
BATCH: Final = 100
RETRY_S: Final = 1.0


class Reel:
    """What one session was sent of one version of a title."""

    __slots__ = (
        "at",
        "is_fresh",
        "picture",
        "position_s",
        "sent_picture",
        "sent_sound",
        "sid",
        "sound",
        "sub",
        "title",
        "version",
    )

    def __init__(self, sid: str, sub: str, *, title: str, version: str) -> None:
        self.sid, self.sub, self.title, self.version = sid, sub, title, version
        self.picture, self.sound = bytearray(), bytearray()
        #: What the stream has of both.
        self.sent_picture = self.sent_sound = 0
        #: Whether there is anything the stream does not have, and since when it was to be told.
        self.is_fresh, self.at = False, 0.0
        self.position_s = -1.0

    def mark(self, index: int, is_sound: bool) -> None:
        """Note a segment that was handed over whole. Safe to repeat."""
        bits = self.sound if is_sound else self.picture
        byte, bit = index >> 3, 1 << (index & 7)
        try:
            if not bits[byte] & bit:
                bits[byte] |= bit
                self.is_fresh = True
        except IndexError:
            if index < MAX_INDEX:
                grown(bits, byte)[byte] |= bit
                self.is_fresh = True

    def forget_sent(self) -> None:
        """The stream was lost: tell everything again."""
        self.sent_picture = self.sent_sound = 0
        self.is_fresh = any(self.picture) or any(self.sound)

    def entry(self) -> Watched:
        """What the stream does not have yet."""
        picture = int.from_bytes(self.picture, "little") & ~self.sent_picture
        sound = int.from_bytes(self.sound, "little") & ~self.sent_sound
        both = picture | sound
        first = ((both & -both).bit_length() - 1) // 8 if both else 0
        return Watched(
            sid=self.sid,
            sub=self.sub,
            title=self.title,
            version=self.version,
            base=first * 8,
            bits=packed(picture >> first * 8),
            sound_bits=packed(sound >> first * 8),
            position_s=self.position_s,
            at=self.at,
        )

    def has(self, entry: Watched) -> None:
        """The stream has `entry` now."""
        self.sent_picture |= int.from_bytes(entry.bits, "little") << entry.base
        self.sent_sound |= int.from_bytes(entry.sound_bits, "little") << entry.base


class WatchTime:
    """Writes reels to WATCH_STREAM. fails="open": viewers never wait for it, and bits stay in the reel until Redis has
    them, for as long as the edge lives."""

    def __init__(self, redis: Redis, *, now: Callable[[], float], counts: Counts) -> None:
        self._redis, self._now, self._counts = redis, now, counts
        self._due: dict[Reel, None] = {}
        self._wake = asyncio.Event()
        self._log = log.get("edge.watchtime")

    @property
    def waiting(self) -> int:
        """Reels that are to be told."""
        return len(self._due)

    def put(self, reel: Reel) -> None:
        """Tell what is new of a reel, soon."""
        if not reel.is_fresh or reel in self._due:
            return
        if len(self._due) >= WAITING:
            del self._due[next(iter(self._due))]
            self._counts.watch_lost += 1
        reel.at = self._now()
        self._due[reel] = None
        self._wake.set()

    async def run(self) -> None:
        """Write for ever."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                if not await self._write():
                    await asyncio.sleep(RETRY_S)

    async def flush(self, reels: Iterable[Reel]) -> None:
        """Write all that is new, once, at the end."""
        for reel in reels:
            self.put(reel)
        while self._due:
            if not await self._write():
                return

    async def _write(self) -> bool:
        batch = [reel for reel, _ in zip(self._due, range(BATCH), strict=False)]
        entries = []
        for reel in batch:
            reel.is_fresh = False
            entries.append(reel.entry())
        pipe = self._redis.pipeline(transaction=False)
        for entry in entries:
            pipe.xadd(WATCH_STREAM, {"w": msgspec.json.encode(entry)}, maxlen=STREAM_LENGTH, approximate=True)
        try:
            await pipe.execute()
        except (RedisError, OSError) as error:
            for reel in batch:
                reel.is_fresh = True
            self._log.warning("watch time waits for Redis", words=str(error), waiting=len(self._due))
            return False
        for reel, entry in zip(batch, entries, strict=True):
            reel.has(entry)
            self._due.pop(reel, None)
        return True
