"""Key sets: which keys are taken, when the set is read again, and what is left when control is away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.edge.keyring import MIN_INTERVAL_S, Keyring, fetch, parse
from shared import keys
from tests.support.jwks import KeyServer, key_server

SOUND = keys.jwks(keys.new_key_set())["keys"][0]


@pytest.fixture
def control() -> Iterator[KeyServer]:
    with key_server() as server:
        yield server


def document(*entries: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"keys": entries})


def test_all_three_slots_are_taken() -> None:
    key_set = keys.rotate(keys.new_key_set())
    read = parse(msgspec.json.encode(keys.jwks(key_set)))
    assert key_set.previous
    assert set(read.keys) == {key_set.current.kid, key_set.next.kid, key_set.previous.kid}
    assert read.refused == ()


@pytest.mark.parametrize(
    "change",
    [
        {"kty": "oct", "k": "c2hvcnQ"},
        {"kty": "RSA", "n": "AQAB", "e": "AQAB"},
        {"crv": "P-192"},
        {"crv": "P-521"},
        {"alg": "HS256"},
        {"alg": "none"},
        {"alg": None},
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": []},
        {"key_ops": 5},
        {"key_ops": "verify"},
        {"key_ops": {"verify": True}},
        {"alg": ["ES256"]},
        {"kid": ["a"]},
        {"kid": "a" * 65},
        {"kid": "bad\n"},
        {"x": 7},
        {"x": [SOUND["x"]]},
        {"x": SOUND["x"] + "="},
        {"x": "é" * 43},
        {"x": "A" * 43, "y": "A" * 43},
        {"crv": "P-384"},
        {"crv": "secp256k1"},
        {"kty": "OKP", "crv": "Ed25519"},
        {"alg": "ES384"},
        {"d": "AQAB"},
        {"kid": ""},
        {"kid": 7},
        {"kid": "a/b"},
        {"x": SOUND["x"][:20]},
        {"x": SOUND["x"] + "AAAA"},
        {"x": "not base64url!"},
        {"y": SOUND["x"]},
        {"x": None},
    ],
)
def test_an_unsound_key_is_left_out_and_named(change: dict[str, Any]) -> None:
    entry = {**SOUND, "kid": "bad", **change}
    read = parse(
        document({**SOUND, "kid": "good"}, {name: value for name, value in entry.items() if value is not None})
    )
    assert list(read.keys) == ["good"]
    assert len(read.refused) == 1


def test_key_ops_of_no_kind_leaves_the_key_out() -> None:
    assert parse(document({**SOUND, "key_ops": None})).keys == {}
    assert list(parse(document({**SOUND, "key_ops": ["verify"]})).keys) == [SOUND["kid"]]


def test_a_kid_that_stands_twice_is_nobodys() -> None:
    other = keys.jwks(keys.new_key_set())["keys"][0]
    read = parse(document(SOUND, {**other, "kid": SOUND["kid"]}, other))
    assert list(read.keys) == [other["kid"]]
    assert len(read.refused) == 2
    assert parse(document(SOUND, SOUND)).keys == {}


def test_a_member_that_stands_twice_makes_it_no_key_set() -> None:
    text = document(SOUND).decode()
    for twice in (text.replace('"use":"sig"', '"use":"enc","use":"sig"'), text[:-1] + ',"keys":[]}'):
        with pytest.raises(ValueError, match="not a key set"):
            parse(twice.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 60_000,
        b'{"keys":' + b"[" * 60_000,
        b'{"keys": [3]}',
        b'{"keys": null}',
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b'{"keys": 3}',
        b"<html>",
    ],
)
def test_what_is_no_key_set_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(data)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y", "/etc/passwd", ""])
def test_a_key_set_comes_by_http_only(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        fetch(url)


async def test_keys_are_read_and_kept_on_disk(control: KeyServer, tmp_path: Path) -> None:
    key_set = keys.new_key_set()
    control.publish(key_set)
    ring = Keyring(control.url, tmp_path / "sub" / "jwks.json", tick=lambda: 0.0)
    await ring.refresh()
    assert key_set.current.kid in ring.keys
    later = Keyring("http://127.0.0.1:1/", tmp_path / "sub" / "jwks.json", tick=lambda: 0.0)
    later.load()
    assert later.keys.keys() == ring.keys.keys()
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["jwks.json"]


async def test_keys_at_hand_stay_when_control_is_away_or_answers_nonsense(control: KeyServer, tmp_path: Path) -> None:
    clock = [0.0]
    control.publish(keys.new_key_set())
    ring = Keyring(control.url, tmp_path / "jwks.json", tick=lambda: clock[0])
    await ring.refresh()
    known = ring.keys
    assert known
    for body in (b"", b"nonsense", b'{"keys": []}', b"x" * 100_000):
        control.body, clock[0] = body, clock[0] + MIN_INTERVAL_S
        await ring.refresh()
        assert ring.keys == known


async def test_requests_cause_one_read_in_ten_seconds(control: KeyServer, tmp_path: Path) -> None:
    clock = [0.0]
    control.publish(keys.new_key_set())
    control.let.clear()
    ring = Keyring(control.url, tmp_path / "jwks.json", tick=lambda: clock[0])
    waiting = [asyncio.create_task(ring.refresh()) for _ in range(50)]
    await asyncio.sleep(0)
    control.let.set()
    await asyncio.gather(*waiting)
    assert control.asked == 1
    clock[0] = MIN_INTERVAL_S - 0.1
    await ring.refresh()
    assert control.asked == 1
    clock[0] = MIN_INTERVAL_S
    await ring.refresh()
    assert control.asked == 2


async def test_a_key_that_is_gone_is_told(control: KeyServer, tmp_path: Path) -> None:
    clock, dropped = [0.0], []
    key_set = keys.new_key_set()
    ring = Keyring(control.url, tmp_path / "jwks.json", tick=lambda: clock[0])
    ring.on_drop = lambda: dropped.append(True)
    for one in (key_set, keys.rotate(key_set)):
        control.publish(one)
        clock[0] += MIN_INTERVAL_S
        await ring.refresh()
    assert dropped == []
    control.publish(keys.rotate(keys.rotate(key_set)))
    clock[0] += MIN_INTERVAL_S
    await ring.refresh()
    assert dropped == [True]
    assert key_set.current.kid not in ring.keys


async def test_a_mounted_file_is_read_again(tmp_path: Path) -> None:
    file, clock = tmp_path / "jwks.json", [0.0]
    ring = Keyring("", file, tick=lambda: clock[0])
    await ring.refresh()
    assert ring.keys == {}
    file.write_bytes(msgspec.json.encode(keys.jwks(keys.new_key_set())))
    clock[0] = MIN_INTERVAL_S
    await ring.refresh()
    assert len(ring.keys) == 2
