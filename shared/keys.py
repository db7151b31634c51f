"""Signing keys of playback tokens: made and rotated by control, published as a JWKS, read by every edge.

A key set is JSON in the secrets port under `playback-keys`: three slots, `next`, `current`, `previous`. The signer
uses `current`; verifiers know all three, so a new key is known before it signs and an old one outlives its tokens.
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from shared.errors import Misconfigured

CURVE_BYTES = 32


class SigningKey(msgspec.Struct, frozen=True):
    """One private key ready to sign."""

    kid: str
    alg: str
    private: Any


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A private EC P-256 key as a JWK (RFC 7517): coordinates and scalar, base64url without padding."""

    kid: str
    x: str
    y: str
    d: str
    kty: str = "EC"
    crv: str = "P-256"
    alg: str = "ES256"
    use: str = "sig"


class KeySet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three slots; `previous` is absent before the first rotation."""

    current: StoredKey
    next: StoredKey
    previous: StoredKey | None = None


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(CURVE_BYTES, "big")).rstrip(b"=").decode()


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def new_key() -> StoredKey:
    """A fresh P-256 key; the kid is a hash of the public point."""
    numbers = ec.generate_private_key(ec.SECP256R1()).private_numbers()
    x, y = _b64(numbers.public_numbers.x), _b64(numbers.public_numbers.y)
    kid = hashlib.sha256(f"{x}.{y}".encode()).hexdigest()[:16]
    return StoredKey(kid=kid, x=x, y=y, d=_b64(numbers.private_value))


def new_key_set() -> KeySet:
    """A key set for a first start."""
    return KeySet(current=new_key(), next=new_key())


def rotate(keys: KeySet) -> KeySet:
    """next becomes current, current becomes previous, a new next is made; the old previous dies."""
    return KeySet(current=keys.next, next=new_key(), previous=keys.current)


def parse_key_set(data: bytes) -> KeySet:
    """Read a stored key set. Raises Misconfigured when it is not one."""
    try:
        return msgspec.json.decode(data, type=KeySet)
    except msgspec.DecodeError as error:
        raise Misconfigured(
            f"The secret playback-keys is not a key set: {error}. `usher keys rotate --new` makes one."
        ) from error


def signing_key(keys: KeySet) -> SigningKey:
    """The key that signs now."""
    key = keys.current
    public = ec.EllipticCurvePublicNumbers(_number(key.x), _number(key.y), ec.SECP256R1())
    return SigningKey(
        kid=key.kid, alg=key.alg, private=ec.EllipticCurvePrivateNumbers(_number(key.d), public).private_key()
    )


def jwks(keys: KeySet) -> dict[str, list[dict[str, str]]]:
    """The public half of all slots as a JWKS document."""
    slots = [slot for slot in (keys.current, keys.next, keys.previous) if slot]
    return {"keys": [{n: v for n, v in msgspec.to_builtins(slot).items() if n != "d"} for slot in slots]}
