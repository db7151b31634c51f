"""No token but the one that was signed passes the gate: thousands of spellings one edit away from it, none admitted."""

from __future__ import annotations

import os
from typing import Any

import msgspec
import pytest

from gateway.edge.keyring import parse
from gateway.edge.refusals import Refusal
from shared import keys, tokens
from tests.support.door import Door
from tests.support.edge import SEGMENT, claims
from tests.support.token_edits import some_edits

#: All tokens together; `make chaos` asks for more rounds than one.
EDITS = 36_000 if int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1 else 3_000
NOW = 1_800_000_000.0
KEYS = keys.rotate(keys.new_key_set())
KNOWN = parse(msgspec.json.encode(keys.jwks(KEYS))).keys
DOOR = Door(KEYS)
#: Tokens of each key that is trusted, plain ones and one with every claim set.
CLAIMS: tuple[dict[str, Any], ...] = ({}, {"cap": 1, "q": 720, "m": "m", "w": "w1", "d": "device-1", "b": "hard"})
SIGNERS = {
    "current": keys.signing_key(KEYS),
    "next": keys.signing_key(msgspec.structs.replace(KEYS, current=KEYS.next)),
    "previous": keys.signing_key(msgspec.structs.replace(KEYS, current=KEYS.previous or KEYS.next)),
}


def test_every_algorithm_that_is_allowed_is_tried() -> None:
    assert {key.alg for key in KNOWN.values()} == {signer.alg for signer in SIGNERS.values()} == {"ES256"}


@pytest.mark.parametrize("more", CLAIMS, ids=("plain", "full"))
@pytest.mark.parametrize("slot", SIGNERS)
def test_no_edited_token_is_admitted(slot: str, more: dict[str, Any]) -> None:
    token = tokens.mint(claims(NOW, **more), SIGNERS[slot])
    assert admits(token)
    edits = some_edits(token, EDITS // (len(SIGNERS) * len(CLAIMS)), seed=len(slot))
    assert [edit for edit in edits if admits(edit)] == []


def admits(token: str) -> bool:
    """Whether the edge opens a segment to this spelling. Anything but a Refusal is a failure."""
    try:
        DOOR.admit(token, SEGMENT, now=NOW)
    except Refusal as refusal:
        assert refusal.status in (401, 404), refusal.code
        return False
    return True
