"""Answers as they are kept: sealed, for one may hold what is shown once, such as the code of a gift card."""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from msgspec.structs import replace

from gateway.control.idempotency.model import Answer, Attempt
from shared.errors import Conflict
from shared.secrets import SESSION_HMAC, Secrets

NONCE_BYTES = 12


class Seal:
    """Seals bodies by AES-256-GCM, each for its own request, with a key derived from that of sessions (RFC 5869)."""

    def __init__(self, secrets: Secrets) -> None:
        self._secrets = secrets

    def close(self, answer: Answer, attempt: Attempt) -> Answer:
        """The answer as it is kept."""
        nonce = os.urandom(NONCE_BYTES)
        return replace(answer, body=nonce + self._cipher().encrypt(nonce, answer.body, _whose(attempt)))

    def open(self, kept: Answer, attempt: Attempt) -> Answer:
        """The answer as it was given. Raises Conflict where it was sealed by another key, or never."""
        nonce, sealed = kept.body[:NONCE_BYTES], kept.body[NONCE_BYTES:]
        try:
            return replace(kept, body=self._cipher().decrypt(nonce, sealed, _whose(attempt)))
        except (InvalidTag, ValueError) as error:  # the latter for less than a nonce
            raise Conflict(
                "This was done before, and what it was answered cannot be read any more; look at what it did.",
                code="answer-lost",
            ) from error

    def _cipher(self) -> AESGCM:
        derived = HKDF(SHA256(), length=32, salt=None, info=b"kept answers")
        return AESGCM(derived.derive(self._secrets.read(SESSION_HMAC)))


def _whose(attempt: Attempt) -> bytes:
    return attempt.hash + f"{attempt.principal} {attempt.key} {attempt.route}".encode()
