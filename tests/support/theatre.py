"""A theatre: a film in a real S3 bucket behind a tap and a fault proxy, Redis behind another, and a real edge."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from shared.storage.s3 import S3Bucket
from tests.support.edge import until
from tests.support.edge_process import EdgeProcess, edge_process
from tests.support.faults import FaultProxy, faulty
from tests.support.films import Film, note, objects
from tests.support.players import Player, linked
from tests.support.ports import free_base
from tests.support.s3 import S3Server
from tests.support.taps import Tap, tapped
from tests.support.valkey import valkey


class Theatre(msgspec.Struct):
    """What plays: faults may be set on `bucket` and `redis` at any time; `tap` counts reads of the bucket."""

    edge: EdgeProcess
    film: Film
    tap: Tap
    bucket: FaultProxy
    redis: FaultProxy
    players: list[Player] = []

    def player(self, number: int, **claims: Any) -> Player:
        """A viewer of the film with a session, a name and a network of their own."""
        about = {"scope": self.film.scope, "sub": f"viewer-{number}", **claims}
        made = Player(self.film, self.edge.token(**about), lambda: self.edge.port, source=address(number))
        self.players.append(made)
        return made

    async def seated(self, count: int, *, begin: int = 0) -> list[Player]:
        """Players who have their seats: each has read the playlist. They come again when told to, as players do: a busy
        machine may keep Redis from answering in time."""
        players = [self.player(begin + number) for number in range(count)]

        async def all_in() -> bool:
            got = await asyncio.gather(*(one.fetch(self.film.playlist) for one in players))
            assert {one.status for one in got} <= {200, 503}, got
            return all(one.is_right for one in got)

        await until(all_in)
        return players

    async def status(self, token: str, key: str) -> int:
        """What one new connection is answered."""
        async with linked(self.edge.port) as link:
            return (await link.ask("GET", f"/t/{token}/{key}")).status


def address(number: int) -> str:
    """A loopback address in a /24 of its own."""
    return f"127.{1 + number // 250}.{1 + number % 250}.9"


async def film_on(server: S3Server, name: str, *, segments: int, size: int) -> Film:
    """A film in a new bucket of an S3 server."""
    await server.make_bucket(name)
    bucket = S3Bucket(
        name,
        endpoint=server.endpoint,
        region=server.region,
        access_key=server.access_key,
        secret_key=server.secret_key,
    )
    film = Film("ttl_film", {}, {})
    for key, data in objects(film.title, segments=segments, size=size):
        await bucket.put(key, data)
        note(film, key, data)
    await bucket.close()
    return film


@asynccontextmanager
async def theatre(
    folder: Path,
    server: S3Server,
    redis_url: str,
    *,
    segments: int = 8,
    size: int = 300_000,
    arguments: Sequence[str] = (),
    **settings: str,
) -> AsyncIterator[Theatre]:
    """Everything running. `settings` are USHER_* of the edge, in lower case without the prefix."""
    name = f"usher-{folder.name.replace('_', '-').lower()[-40:].strip('-')}"
    film = await film_on(server, name, segments=segments, size=size)
    redis = urlsplit(redis_url)
    async with (
        faulty(urlsplit(server.endpoint).netloc) as bucket,
        tapped(bucket.address) as tap,
        faulty(f"{redis.hostname}:{redis.port}") as redis_proxy,
    ):
        environ = {
            **server.environ(name),
            "USHER_S3_ENDPOINT": f"http://{tap.address}",
            "USHER_REDIS_URL": f"redis://{redis_proxy.address}/0",
            **{f"USHER_{name.upper()}": value for name, value in settings.items()},
        }
        async with edge_process(folder / "edge", environ, arguments=arguments) as edge:
            stage = Theatre(edge, film, tap, bucket, redis_proxy)
            try:
                yield stage
            finally:
                for player in stage.players:
                    player.close()


@asynccontextmanager
async def lasting_theatre(
    folder: Path, server: S3Server, *, segments: int, size: int, **settings: str
) -> AsyncIterator[Theatre]:
    """One for all tests of a module, with a Redis of its own. Its edge must bear them all: it ends when it is told to,
    and nothing went wrong in it that nobody expected."""
    with valkey(free_base(1)) as redis:
        async with theatre(folder, server, redis.url, segments=segments, size=size, **settings) as running:
            yield running
            assert await running.edge.stop() == 0
            assert "Traceback" not in running.edge.log.read_text()
