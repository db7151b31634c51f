"""Keys turn while viewers come and play: no token that is good is refused, and what is revoked stays so."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from shared import keys
from shared.events import REVOKED
from tests.support.edge import MASTER, SEGMENT, TITLE, EdgeUnderTest, running_edge, until
from tests.support.jwks import KeyServer, key_server

ROTATIONS = 4


class Turning:
    """Control's keys, turned again and again, and the viewers who meet them."""

    def __init__(self, edge: EdgeUnderTest, control: KeyServer, key_set: keys.KeySet) -> None:
        self.edge, self.control, self.key_set = edge, control, key_set
        self.statuses: Counter[int] = Counter()
        self.tokens: set[str] = set()
        self._over = False

    async def turn(self) -> None:
        """next → current → previous, published and signed with at once; then wait until the edge has read it."""
        self.key_set = keys.rotate(self.key_set)
        self.control.publish(self.key_set)

        async def read() -> bool:
            assert self.edge.app.edge is not None
            return self.key_set.next.kid in self.edge.app.edge.keyring.keys

        await until(read)

    async def turns(self) -> None:
        for _ in range(ROTATIONS):
            asked, turned = self.statuses.total(), self.key_set.current.kid
            await self.turn()
            assert turned != self.key_set.current.kid

            async def played(since: int = asked) -> bool:
                return self.statuses.total() > since + 60

            await until(played)
        self._over = True

    async def watch(self, number: int) -> None:
        """A viewer: a fresh link now and then, used until the key that signed it is the previous one."""
        while not self._over:
            signed_by = self.key_set.current.kid
            token = self.edge.token(signer=keys.signing_key(self.key_set), sub=f"viewer{number}", cap=1000)
            self.tokens.add(token)
            for _ in range(20):
                if self._over or signed_by not in self._good():
                    break
                answer = await self.edge.get(SEGMENT, token)
                if signed_by in self._good():
                    self.statuses[answer.status] += 1
                await asyncio.sleep(0.005)

    def _good(self) -> set[str]:
        previous = self.key_set.previous
        return {self.key_set.current.kid, previous.kid if previous else ""}


async def test_no_good_token_is_refused_while_keys_turn(folder: Path, redis_url: str) -> None:
    key_set = keys.new_key_set()
    with key_server() as control:
        control.publish(key_set)
        async with running_edge(folder, redis_url, key_set=key_set, jwks_url=control.url, jwks_refresh_s=1) as edge:
            turning = Turning(edge, control, key_set)
            await asyncio.gather(turning.turns(), *(turning.watch(number) for number in range(6)))
    assert turning.statuses.keys() == {200}
    assert turning.statuses.total() >= 60 * ROTATIONS
    assert len(turning.tokens) > ROTATIONS


async def test_a_token_of_the_next_key_is_good_before_the_set_is_read_again(folder: Path, redis_url: str) -> None:
    with key_server() as control:
        key_set = keys.new_key_set()
        control.publish(key_set)
        async with running_edge(folder, redis_url, key_set=key_set, jwks_url=control.url) as edge:

            async def read() -> bool:
                return control.asked == 1

            await until(read)
            early = edge.token(signer=keys.signing_key(keys.rotate(key_set)))
            assert (await edge.get(MASTER, early)).status == 200
            assert control.asked == 1


async def test_a_mounted_file_is_enough_and_a_turned_one_is_read(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, jwks_refresh_s=1) as edge:
        later = keys.rotate(keys.rotate(edge.key_set))
        (folder / "jwks.json").write_bytes(msgspec.json.encode(keys.jwks(later)))

        async def admitted() -> bool:
            return (await edge.get(MASTER, edge.token(signer=keys.signing_key(later), cap=1000))).status == 200

        await until(admitted)


@pytest.mark.parametrize("field", [f"title:{TITLE}", "sub:viewer"])
async def test_what_was_minted_up_to_the_revocation_is_over_and_later_is_not(
    folder: Path, redis: Redis, redis_url: str, field: str
) -> None:
    async with running_edge(folder, redis_url) as edge:
        await edge.until_it_hears()
        now = int(edge.clock.now())
    minted: Any = {"old": now - 100, "same": now, "later": now + 1}
    await redis.hset(REVOKED, field, str(now))
    async with running_edge(folder, redis_url, key_set=edge.key_set) as fresh:
        await fresh.until_it_hears()
        tokens = {name: fresh.token(iat=iat, cap=9) for name, iat in minted.items()}
        statuses = {name: (await fresh.get(MASTER, token)).status for name, token in tokens.items()}
        other = fresh.token(iat=now - 100, sub="somebody", scope="v/ttl_a2/")
        assert (await fresh.get("v/ttl_a2/e/ed1/720.m3u8", other)).status == 200
    assert statuses == {"old": 410, "same": 410, "later": 200}
