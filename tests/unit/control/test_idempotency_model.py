"""Keys of requests, and what a second request with a key is told."""

from __future__ import annotations

import msgspec
import pytest

from gateway.control.idempotency.model import Answer, Attempt, Kept, decide, hash_of, key_of
from shared.errors import InFlight, Invalid, KeyReused

ATTEMPT = Attempt(principal="usr_1", key="k", route="pay", hash=b"one", attempt="att_1")
ANSWER = Answer(201, "application/json", b"{}")


class Body(msgspec.Struct):
    """What a request says."""

    amount: int
    note: str = ""


@pytest.mark.parametrize("key", ["1", "x" * 200, "8e03978e-40d5-43e8-bc93-6894a57f9324", '"quoted"'])
def test_key_is_taken_as_it_came(key: str) -> None:
    assert key_of(key) == key


@pytest.mark.parametrize("key", [None, "", " ", "a b", "x" * 201, "é", "a\n", "\x00"])
def test_what_is_no_key_is_refused(key: str | None) -> None:
    with pytest.raises(Invalid):
        key_of(key)


def test_kept_answer_is_given_to_the_same_request_alone() -> None:
    kept = Kept(b"one", "done", ANSWER)
    assert decide(kept, ATTEMPT) is ANSWER
    with pytest.raises(KeyReused):
        decide(kept, msgspec.structs.replace(ATTEMPT, hash=b"two"))


def test_request_waits_for_one_that_is_not_answered_and_for_one_that_was_let_go_just_now() -> None:
    for kept in (Kept(b"one", "in_flight", None), None):
        with pytest.raises(InFlight):
            decide(kept, ATTEMPT)
    with pytest.raises(KeyReused):
        decide(Kept(b"two", "in_flight", None), ATTEMPT)


def test_hash_is_that_of_what_is_said_not_of_its_spelling() -> None:
    spelt = [msgspec.json.decode(text, type=Body) for text in ('{"amount":5}', '{ "note": "", "amount": 5 }')]
    assert hash_of("/a", "", spelt[0]) == hash_of("/a", "", spelt[1])
    others = [
        hash_of("/b", "", spelt[0]),
        hash_of("/a", "x=1", spelt[0]),
        hash_of("/a", "", Body(6)),
        hash_of("/a", "", None),
    ]
    assert len({hash_of("/a", "", spelt[0]), *others}) == 5
