"""Keys while the edge runs: control down at the start, rotation, and a key withdrawn."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from gateway.edge.keyring import MIN_INTERVAL_S
from shared import keys
from tests.support.edge import MASTER, running_edge, until
from tests.support.jwks import key_server
from tests.support.token_edits import other_spelling

NOBODY = "http://127.0.0.1:1/jwks.json"


async def test_an_edge_starts_without_control_from_its_last_copy(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, jwks_url=NOBODY) as edge:
        assert (await edge.get(MASTER, edge.token())).status == 200
        stranger = keys.signing_key(keys.new_key_set())
        assert (await edge.get(MASTER, edge.token(signer=stranger))).json()["code"] == "token-unknown-key"


async def test_an_edge_without_any_key_is_not_ready_until_control_comes(folder: Path, redis_url: str) -> None:
    with key_server() as control:
        async with running_edge(
            folder, redis_url, jwks_url=control.url, jwks_file=folder / "kept" / "jwks.json"
        ) as edge:
            assert edge.app.edge
            assert edge.app.edge.not_ready() == "no keys known yet"
            refused = await edge.get(MASTER, edge.token())
            assert (refused.status, refused.json()["code"]) == (503, "keys-unavailable")
            control.publish(edge.key_set)

            async def ready() -> bool:
                return edge.app.edge is not None and edge.app.edge.not_ready() is None

            await until(ready)
            assert (await edge.get(MASTER, edge.token())).status == 200
            assert (folder / "kept" / "jwks.json").read_bytes() == control.body


async def test_an_unknown_kid_makes_the_edge_read_the_keys_once(folder: Path, redis_url: str) -> None:
    with key_server() as control:
        key_set = keys.new_key_set()
        control.publish(key_set)
        async with running_edge(folder, redis_url, key_set=key_set, jwks_url=control.url) as edge:

            async def read() -> bool:
                return control.asked == 1

            await until(read)
            later = keys.rotate(keys.rotate(key_set))
            control.publish(later)
            token = edge.token(signer=keys.signing_key(later))
            edge.clock.stop()
            edge.clock.ahead_s = MIN_INTERVAL_S
            assert (await edge.get(MASTER, token)).status == 200
            for _ in range(20):
                stranger = keys.signing_key(keys.new_key_set())
                assert (await edge.get(MASTER, edge.token(signer=stranger))).status == 401
            assert control.asked == 2


async def test_tokens_of_a_key_that_was_withdrawn_are_refused_even_when_known(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, jwks_refresh_s=1) as edge:
        token = edge.token()
        assert (await edge.get(MASTER, token)).status == 200
        fresh = keys.new_key_set()
        (folder / "jwks.json").write_bytes(msgspec.json.encode(keys.jwks(fresh)))

        async def refused() -> bool:
            return (await edge.get(MASTER, token)).status == 401

        await until(refused)
        assert (await edge.get(MASTER, edge.token(signer=keys.signing_key(fresh)))).status == 200


async def test_wrong_tokens_of_one_address_end_in_429_and_spare_others(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as edge:
        running = edge.token()

        async def plays() -> bool:
            return (await edge.get(MASTER, running)).status == 200

        await until(plays)
        edge.clock.stop()
        answers = [await edge.get(MASTER, f"a.b.{number}") for number in range(200)]
        assert {answer.status for answer in answers} == {401, 429}
        limited = next(answer for answer in answers if answer.status == 429)
        assert limited.headers["retry-after"] == "1"
        assert (await edge.get(MASTER, running)).status == 200
        assert (await edge.get(MASTER, edge.token(cap=9), address="198.51.100.1")).status == 200


async def test_who_plays_and_who_comes_do_not_wait_for_a_thousand_forgeries(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url, forged_per_address=10_000, forged_in_total=100_000) as edge:
        running = edge.token(sub="who-plays")
        assert (await edge.get(MASTER, running)).status == 200
        head = running.rpartition(".")[0]
        forgeries = [
            asyncio.create_task(edge.get(MASTER, f"{head}.{number:085d}A", address=f"10.0.0.{number % 10}"))
            for number in range(1000)
        ]
        await asyncio.sleep(0)
        assert (await edge.get(MASTER, running)).status == 200
        assert sum(one.done() and one.result().status == 401 for one in forgeries) < 200
        assert (await edge.get(MASTER, edge.token(sub="who-comes"), address="198.51.100.1")).status == 200
        assert {one.status for one in await asyncio.gather(*forgeries)} <= {401, 429}


async def test_two_spellings_of_one_token_are_one_screen(folder: Path, redis_url: str) -> None:
    async with running_edge(folder, redis_url) as edge:
        token = edge.token(cap=1)
        other = other_spelling(token)
        assert other != token
        assert [(await edge.get(MASTER, one)).status for one in (token, other, token)] == [200, 200, 200]
        assert edge.app.edge is not None and len(edge.app.edge.seats) == 1
        assert (await edge.get(MASTER, edge.token(cap=1))).status == 409
