"""Tokens: what control mints, the edge's gate accepts, and a plain JWT library reads the same from it."""

from __future__ import annotations

from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge import gate
from gateway.edge.keyring import parse
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import Targets, split
from shared import ids, keys, tokens
from shared.storage import names
from tests.support.door import Door
from tests.support.edge import claims

NOW = 1_800_000_000.0
KEY_SET = keys.new_key_set()


def known(key_set: keys.KeySet) -> Any:
    return parse(msgspec.json.encode(keys.jwks(key_set))).keys


KNOWN = known(KEY_SET)
DOOR = Door(KEY_SET)
words = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "sub": words,
            "d": words,
            "w": words,
            "jti": words,
            "cap": st.integers(1, 1000),
            "q": st.sampled_from([0, 240, 1080, 2160]),
            "m": st.sampled_from(["", "v"]),
            "b": st.sampled_from(["off", "soft", "hard"]),
        }
    )
)
def test_what_control_mints_the_gate_reads(changes: dict[str, Any]) -> None:
    title = ids.new_id("ttl")
    said = claims(NOW, scope=f"v/{title}/", sid=ids.new_session_id(), **changes)
    token = tokens.mint(said, keys.signing_key(KEY_SET))
    assert len(token) <= tokens.MAX_TOKEN_LENGTH
    path = names.multivariant(title, "ed1", "240")
    assert DOOR.admit(token, path, now=NOW) == said
    address = tokens.playback_url("https://edge.example", token, path).removeprefix("https://edge.example")
    carried, public = split(address.encode())
    assert (carried.decode(), Targets().of(public).key) == (token, path)


def test_a_plain_jwt_library_reads_the_same() -> None:
    token = tokens.mint(claims(NOW), keys.signing_key(KEY_SET))
    kid = jwt.get_unverified_header(token)["kid"]
    key = jwt.PyJWKSet.from_dict(keys.jwks(KEY_SET))[kid]
    read = jwt.decode(
        token, key, algorithms=["ES256"], audience=tokens.AUDIENCE, options={"verify_exp": False, "verify_iat": False}
    )
    assert read == msgspec.to_builtins(gate.verify(token, KNOWN))


@pytest.mark.parametrize(
    "name",
    [
        names.init("ttl_a", "ver1", "720"),
        names.segment("ttl_a", "ver1", "720", number=3),
        names.media_playlist("ttl_a", "ver1", "audio-0"),
        names.poster("ttl_a", "ver1"),
        names.multivariant("ttl_a", "ed1", "audio"),
    ],
)
def test_every_published_name_is_open_to_a_viewer(name: str) -> None:
    assert DOOR.admit(tokens.mint(claims(NOW), keys.signing_key(KEY_SET)), name, now=NOW)


@pytest.mark.parametrize("name", [names.master("ttl_a", "upl_1"), names.plan("ver1"), names.done("ver1", "0")])
def test_no_private_name_is(name: str) -> None:
    with pytest.raises(Refusal):
        DOOR.admit(tokens.mint(claims(NOW), keys.signing_key(KEY_SET)), name, now=NOW)


def test_tokens_live_through_one_rotation_and_not_through_two() -> None:
    token = tokens.mint(claims(NOW), keys.signing_key(KEY_SET))
    once = keys.rotate(KEY_SET)
    assert gate.verify(token, known(once))
    # The edge knew the new key before anything was signed with it.
    assert gate.verify(tokens.mint(claims(NOW), keys.signing_key(once)), KNOWN)
    with pytest.raises(Refusal, match="unknown key"):
        gate.verify(token, known(keys.rotate(once)))
