"""Signing keys rotate through three slots, and only public halves leave."""

from __future__ import annotations

import jwt
import msgspec
import pytest

from shared import keys
from shared.errors import Misconfigured
from shared.tokens import MAX_TOKEN_LENGTH, Claims, container, mint


def claims() -> Claims:
    scope = "v/ttl_" + "0" * 32 + "/"
    return Claims(
        iss="usher", aud="edge", iat=1, exp=2, jti="j" * 22, sid="s" * 22, sub="p" * 22, scope=scope, cdniv=1,
        cdniuc=container(scope), hmx=3, w="w" * 22, d="d" * 22, b="soft", q=1080,
    )  # fmt: skip


def test_rotation_moves_next_to_current_and_drops_the_oldest() -> None:
    first = keys.new_key_set()
    second = keys.rotate(first)
    third = keys.rotate(second)
    assert second.current == first.next
    assert second.previous == first.current
    assert first.current.kid not in {k["kid"] for k in keys.jwks(third)["keys"]}


def test_jwks_holds_no_private_part() -> None:
    document = keys.jwks(keys.rotate(keys.new_key_set()))
    assert len(document["keys"]) == 3
    assert all("d" not in key and key["alg"] == "ES256" and key["use"] == "sig" for key in document["keys"])


def test_minted_token_verifies_with_the_published_key_and_fits() -> None:
    key_set = keys.parse_key_set(msgspec.json.encode(keys.new_key_set()))
    token = mint(claims(), keys.signing_key(key_set))
    assert len(token) < MAX_TOKEN_LENGTH
    public = jwt.PyJWK(keys.jwks(key_set)["keys"][0])
    got = jwt.decode(token, public, algorithms=["ES256"], audience="edge", options={"verify_exp": False})
    assert msgspec.convert(got, Claims) == claims()


def test_broken_key_set_is_refused_with_the_remedy() -> None:
    with pytest.raises(Misconfigured, match="usher keys rotate"):
        keys.parse_key_set(b'{"current": 1}')
