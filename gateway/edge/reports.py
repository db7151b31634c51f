"""Reports: what edges that serve the same session tell each other of it, by a short stream in Redis."""

from __future__ import annotations

from typing import Final

import msgspec
from redis.asyncio import Redis

from gateway.edge.places import Place

#: Reports kept of a session, and how long after the last one.
KEPT: Final = 64
KEPT_S: Final = 120


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """One fetch, as edges tell each other: `age_s` before the telling, and the number of its place and version."""

    age_s: float
    place: int
    film: int
    index: int
    is_sound: bool


class Shown(msgspec.Struct, frozen=True, array_like=True):
    """A version, and where the past is told what of its picture and sound had been fetched, as bitmaps."""

    title: str
    version: str
    picture: bytes = b""
    sound: bytes = b""


class Past(msgspec.Struct, frozen=True, array_like=True):
    """What a place had fetched of a version before edges began to compare, picture or sound, as a bitmap."""

    place: int
    film: int
    bits: bytes


class Report(msgspec.Struct, frozen=True, array_like=True):
    """What one edge saw of a session: places, versions, fetches since its last report, and the past."""

    edge: str
    places: list[Place]
    films: list[Shown]
    seen: list[Seen]
    past: list[Past]


class Told(msgspec.Struct, frozen=True):
    """A report of another edge, and how long ago it was told by Redis' clock."""

    report: Report
    ago_s: float


class Reports:
    """The stream of each session, under the tag of its viewer. Raises redis.RedisError when Redis is away."""

    def __init__(self, redis: Redis, edge: str) -> None:
        self._redis, self._edge = redis, edge

    async def swap(self, sub: str, sid: str, report: Report | None, *, since: str) -> tuple[list[Told], str]:
        """Tell `report`; what others told since the entry `since`, in order, and the newest entry there is."""
        key = f"sess:{{{sub}}}:{sid}"
        pipe = self._redis.pipeline(transaction=True)
        pipe.time()
        pipe.xrange(key, min=f"({since}" if since else "-")
        if report is not None:
            pipe.xadd(key, {"r": msgspec.msgpack.encode(report)}, maxlen=KEPT, approximate=True)
            pipe.expire(key, KEPT_S)
        (seconds, micros), entries, *own = await pipe.execute()
        now_ms = int(seconds) * 1000 + int(micros) / 1000
        told = [
            Told(msgspec.msgpack.decode(fields[b"r"], type=Report), (now_ms - int(entry.split(b"-")[0])) / 1000)
            for entry, fields in entries
        ]
        newest = own[0] if own else entries[-1][0] if entries else since.encode()
        return [one for one in told if one.report.edge != self._edge], newest.decode()
