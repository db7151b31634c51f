"""What the tests of the wire share: a film, the settings of an edge that shows it, and what it refuses."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from tests.support.films import Film
from tests.support.players import Cut, Link
from tests.support.valkey import Valkey

SIZE = 300_000
BUCKET = "bucket"
#: Largest body of a beacon after which the connection is kept.
READ_ON = 8_000

REFUSED = [
    ("GET", "/t/{token}/v/ttl_film/../x.m4s", 404),
    ("GET", "/t/{token}/v/ttl_film/%zz.m4s", 400),
    ("GET", "/t/{token}/v/ttl_other/ver1/720/0/0.m4s", 403),
    ("GET", "/t/{token}/v/ttl_film/ver1/720/0/999.m4s", 404),
    ("GET", "/t/{forged}/v/ttl_film/ver1/720/0/0.m4s", 401),
    ("GET", "/t/{forged}/v/ttl_film/e/ed1/720.m3u8", 401),
    ("GET", "/v/ttl_film/ver1/720/0/0.m4s", 401),
    ("GET", "/t/{token}/beat", 405),
    ("PUT", "/t/{token}/v/ttl_film/ver1/720/0/0.m4s", 405),
    ("DELETE", "/t/{token}/v/ttl_film/ver1/720/0/0.m4s", 405),
    ("GET", "/nothing", 404),
    ("GET", "/", 404),
    ("GET", "/t/", 404),
]


def environ(home: Path, server: Valkey) -> dict[str, str]:
    return {"USHER_REDIS_URL": server.url, "USHER_BUCKET": str(home / BUCKET)}


def is_whole(film: Film, body: bytes, number: int = 0) -> bool:
    return hashlib.sha256(body).hexdigest() == film.digests[film.segment(number)]


async def statuses_until_silence(link: Link) -> list[int]:
    """The statuses of all that comes until the server ends the connection or has nothing more to say."""
    statuses = []
    try:
        async with asyncio.timeout(1.0):
            while True:
                statuses.append((await link.answer(keep=False)).status)
    except (Cut, TimeoutError):
        return statuses
