"""Kept answers: sealed, and opened for the request alone that they were given to."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.control.idempotency.model import Answer, Attempt
from gateway.control.idempotency.seal import Seal
from shared.errors import Conflict
from shared.secrets import SESSION_HMAC, FolderSecrets

ATTEMPT = Attempt(principal="usr_1", key="k1", route="buy_gift_card", hash=b"h", attempt="att_1")
ANSWER = Answer(201, "application/json", b'{"code":"k7mq-2222-3333-4444"}')


@pytest.fixture
def secrets(tmp_path: Path) -> FolderSecrets:
    """A server's key."""
    made = FolderSecrets(tmp_path, {})
    made.write(SESSION_HMAC, b"k" * 32)
    return made


def test_kept_answer_is_read_by_its_request_again_and_by_nobody_else(secrets: FolderSecrets) -> None:
    seal = Seal(secrets)
    kept = seal.close(ANSWER, ATTEMPT)
    assert b"k7mq" not in kept.body and seal.close(ANSWER, ATTEMPT).body != kept.body
    assert seal.open(kept, replace(ATTEMPT, attempt="att_2")) == ANSWER
    for other in ({"principal": "usr_2"}, {"key": "k2"}, {"route": "transfer"}, {"hash": b"i"}):
        with pytest.raises(Conflict, match="done before"):
            seal.open(kept, replace(ATTEMPT, **other))


@pytest.mark.parametrize("body", [b"", b"{}", ANSWER.body])
def test_kept_answer_that_was_never_sealed_is_lost(secrets: FolderSecrets, body: bytes) -> None:
    with pytest.raises(Conflict, match="done before"):
        Seal(secrets).open(replace(ANSWER, body=body), ATTEMPT)


def test_kept_answer_is_lost_with_the_key_it_was_sealed_by(secrets: FolderSecrets) -> None:
    kept = Seal(secrets).close(ANSWER, ATTEMPT)
    secrets.write(SESSION_HMAC, b"l" * 32)
    with pytest.raises(Conflict) as lost:
        Seal(secrets).open(kept, ATTEMPT)
    assert lost.value.code == "answer-lost"
