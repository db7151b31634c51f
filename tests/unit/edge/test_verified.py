"""Verified tokens are remembered within bounds, and failures are limited."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gateway.edge.keyring import Keyring
from gateway.edge.refusals import Refusal
from gateway.edge.verified import IN_TOTAL, PER_ADDRESS, Failures, Verified
from shared import keys, tokens
from tests.support.edge import claims

NOW = 1_800_000_000.0
KEY_SET = keys.new_key_set()
SIGNER = keys.signing_key(KEY_SET)


def verified(folder: Path, clock: list[float], *, size: int = 100) -> Verified:
    file = folder / "jwks.json"
    file.write_bytes(msgspec.json.encode(keys.jwks(KEY_SET)))
    ring = Keyring("", file, tick=lambda: clock[0])
    ring.load()
    return Verified(ring, Failures(tick=lambda: clock[0]), size=size)


async def code(known: Verified, token: bytes, address: str = "192.0.2.1") -> str:
    try:
        await known.claims(token, address)
    except Refusal as refused:
        return refused.code
    return ""


async def test_a_token_is_known_once_verified(tmp_path: Path) -> None:
    known, token = verified(tmp_path, [0.0]), tokens.mint(claims(NOW), SIGNER).encode()
    assert known.known(token) is None
    found = await known.claims(token, "192.0.2.1")
    assert known.known(token) is found
    known.forget()
    assert known.known(token) is None


async def test_the_least_recently_used_token_is_forgotten_first(tmp_path: Path) -> None:
    known = verified(tmp_path, [0.0], size=2)
    first, second, third = (tokens.mint(claims(NOW), SIGNER).encode() for _ in range(3))
    for token in (first, second):
        await known.claims(token, "192.0.2.1")
    assert known.known(first)
    await known.claims(third, "192.0.2.1")
    assert [bool(known.known(token)) for token in (first, second, third)] == [True, False, True]


async def test_failures_of_an_address_end_in_429_for_the_second(tmp_path: Path) -> None:
    clock = [5.0]
    known, good = verified(tmp_path, clock), tokens.mint(claims(NOW), SIGNER).encode()
    codes = [await code(known, b"a.b.%d" % number) for number in range(PER_ADDRESS + 10)]
    assert set(codes[:PER_ADDRESS]) == {"token-malformed"}
    assert set(codes[PER_ADDRESS:]) == {"too-many"}
    assert await code(known, good) == "too-many"
    assert await code(known, good, "192.0.2.2") == ""
    clock[0] = 6.0
    assert await code(known, tokens.mint(claims(NOW), SIGNER).encode()) == ""


async def test_failures_of_all_together_end_in_429(tmp_path: Path) -> None:
    known = verified(tmp_path, [5.0])
    for number in range(IN_TOTAL):
        assert await code(known, b"a.b.c", f"10.0.{number // 40}.1") == "token-malformed"
    assert await code(known, tokens.mint(claims(NOW), SIGNER).encode(), "192.0.2.9") == "too-many"


async def test_no_keys_at_all_is_503_and_not_the_viewers_fault(tmp_path: Path) -> None:
    ring = Keyring("", tmp_path / "none.json", tick=lambda: 0.0)
    known = Verified(ring, Failures(tick=lambda: 0.0))
    with pytest.raises(Refusal) as refused:
        await known.claims(tokens.mint(claims(NOW), SIGNER).encode(), "192.0.2.1")
    assert (refused.value.status, refused.value.code) == (503, "keys-unavailable")


async def test_a_key_published_later_is_found_by_its_kid(tmp_path: Path) -> None:
    clock = [0.0]
    known = verified(tmp_path, clock)
    newer = keys.new_key_set()
    token = tokens.mint(claims(NOW), keys.signing_key(newer)).encode()
    assert await code(known, token) == "token-unknown-key"
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(keys.jwks(newer)))
    clock[0] = 10.0
    assert await code(known, token) == ""
