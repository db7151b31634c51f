"""The gate: what makes a playback token and a path acceptable, as named steps in a fixed order. Pure.

`verify` runs those of the token, `permit` those of a path, and each raises at the first that fails; `explain` walks all
of them for people. Seat and start window come after, in seats.py, since only they need to know what runs elsewhere.
"""

from __future__ import annotations

import binascii
import functools
import re
import string
from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from gateway.edge import once
from gateway.edge.keyring import PublicKey
from gateway.edge.refusals import Refusal
from gateway.edge.resolve import Target, target
from shared.tokens import AUDIENCE, ISSUER, MAX_TOKEN_LENGTH, Claims, container

_ALPHABET: Final = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
_PART = re.compile(r"[A-Za-z0-9_-]+\Z")
#: By how many characters stand over after groups of four: what the last of them may be so that its unused bits are
#: zero (any, where there are none), and the padding that base64 wants.
_LAST: Final = (_ALPHABET, "", _ALPHABET[::16], _ALPHABET[::4])
_PADDING: Final = (b"", b"", b"==", b"=")
_URL_SAFE: Final = bytes.maketrans(b"-_", b"+/")
_SCOPE = re.compile(r"v/[A-Za-z0-9_-]+/\Z")
_SESSION = re.compile(r"[A-Za-z0-9_-]{8,64}\Z")
_SUBJECT = re.compile(r"[A-Za-z0-9_.:-]{1,128}\Z")
#: Bounds of the numbers in a token: what is beyond was not meant, and Redis would choke on it.
LARGEST_CAP: Final = 1000
LATEST: Final = 1 << 33
_BINDINGS = ("off", "soft", "hard")
#: How a signature is verified and how long each of its two numbers is, by the algorithm that the key fixes.
_ALGORITHMS: Final = {"ES256": (ec.ECDSA(hashes.SHA256()), 32)}


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JOSE header: nothing but these, so no `crit`, `jwk`, `jku` or `b64` is ever looked at."""

    alg: str
    kid: str
    typ: str = "JWT"


class Step(msgspec.Struct, frozen=True):
    """One check as `explain` tells it."""

    name: str
    ok: bool
    words: str


class _Check(msgspec.Struct):
    """What the steps know so far."""

    token: str
    path: str
    keys: Mapping[str, PublicKey]
    now: float
    device: str = ""
    key: PublicKey | None = None
    payload: bytes = b""
    signature: bytes = b""
    claims: Claims | None = None


def verify(token: str, keys: Mapping[str, PublicKey]) -> Claims:
    """The claims of a genuine, well-formed token, whatever it opens. Raises Refusal."""
    check = _Check(token, "", keys, 0.0)
    for _, step in _GENUINE:
        step(check)
    return _claims(check)


def permit(claims: Claims, target: Target, *, now: float, device: str = "") -> None:
    """Whether these claims open `target` now. Raises Refusal. Runs at every request, so it costs little."""
    if now >= claims.hmx:
        raise Refusal("over")
    if target.kind == "act":
        return
    _under_scope(claims, target)
    _under_ceiling(claims, target)
    _bound(claims, device)


def is_other_device(claims: Claims, device: str) -> bool:
    """Whether `device`, as a request shows it, is known not to be the one that the token names."""
    return bool(device and claims.d) and device != claims.d


def explain(token: str, path: str, keys: Mapping[str, PublicKey], *, now: float, device: str = "") -> list[Step]:
    """The steps in order with what each found; the last one listed is the one that refuses, if any does.

    `path` may be empty: then only the token is looked at.
    """
    check = _Check(token, path, keys, now, device)
    told: list[Step] = []
    for name, step in STEPS:
        if not path and name in _OF_THE_PATH:
            continue
        try:
            told.append(Step(name, True, step(check)))
        except Refusal as refusal:
            told.append(Step(name, False, f"{refusal.status} {refusal.code}: {refusal}"))
            break
    return told


def _claims(check: _Check) -> Claims:
    if check.claims is None:
        raise AssertionError("the steps that read the claims come after the one that sets them")
    return check.claims


def _length(check: _Check) -> str:
    if not check.token:
        raise Refusal("token-missing")
    if len(check.token) > MAX_TOKEN_LENGTH:
        raise Refusal("token-malformed", f"This token is longer than {MAX_TOKEN_LENGTH} characters.")
    return f"{len(check.token)} characters"


def _form(check: _Check) -> str:
    parts = check.token.split(".")
    if len(parts) != 3:
        raise Refusal("token-malformed", "This token does not have three parts.")
    _known_header(parts[0])
    check.payload, check.signature = _canonical(parts[1]), _canonical(parts[2])
    return "three canonical base64url parts"


def _canonical(part: str) -> bytes:
    """The bytes of base64url that has exactly one spelling: no padding, no stray bits (RFC 7515, 2)."""
    if not _PART.match(part):
        raise Refusal("token-malformed", "A part of this token is not base64url.")
    over = len(part) & 3
    if over == 1:
        raise Refusal("token-malformed", "A part of this token is cut.")
    if part[-1] not in _LAST[over]:
        raise Refusal("token-malformed", "A part of this token has stray bits.")
    return binascii.a2b_base64(part.encode("ascii").translate(_URL_SAFE) + _PADDING[over])


#: All tokens of a key have the same header: it is taken apart once.
_known_header = functools.lru_cache(maxsize=64)(_canonical)


@functools.lru_cache(maxsize=64)
def _header(part: str) -> Header:
    try:
        return msgspec.json.decode(_known_header(part), type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Refusal("token-malformed", "The header of this token is not the expected one.") from None


def _key(check: _Check) -> str:
    header = _header(check.token.partition(".")[0])
    key = check.keys.get(header.kid)
    if key is None:
        raise Refusal("token-unknown-key")
    if header.alg != key.alg or header.typ != "JWT":
        raise Refusal("token-forged", "This token names another algorithm than its key.")
    check.key = key
    return f"key {key.kid}, {key.alg}"


def _signature(check: _Check) -> str:
    key = check.key
    if key is None:
        raise AssertionError("the step that finds the key comes first")
    signed, _, _ = check.token.rpartition(".")
    algorithm, size = _ALGORITHMS[key.alg]
    if len(check.signature) != 2 * size:
        raise Refusal("token-forged")
    r, s = int.from_bytes(check.signature[:size], "big"), int.from_bytes(check.signature[size:], "big")
    try:
        key.public.verify(encode_dss_signature(r, s), signed.encode(), algorithm)
    except InvalidSignature:
        raise Refusal("token-forged") from None
    return "genuine"


def _says(check: _Check) -> str:
    try:
        once.check(_known_header(check.token.partition(".")[0]))
        once.check(check.payload)
        check.claims = msgspec.json.decode(check.payload, type=Claims)
    except (msgspec.DecodeError, ValueError):
        raise Refusal("token-claims") from None
    return f"token {check.claims.jti} of session {check.claims.sid}"


def _names(check: _Check) -> str:
    claims = _claims(check)
    sound = (
        claims.iss == ISSUER
        and claims.aud == AUDIENCE
        and claims.cdniv == 1
        and _SCOPE.match(claims.scope) is not None
        and claims.cdniuc == container(claims.scope)
        and _SESSION.match(claims.sid) is not None
        and _SUBJECT.match(claims.sub) is not None
        and claims.b in _BINDINGS
        and 1 <= claims.cap <= LARGEST_CAP
        and 0 <= claims.q <= LATEST
        and all(0 <= moment <= LATEST for moment in (claims.iat, claims.exp, claims.hmx))
    )
    if not sound:
        raise Refusal("token-claims")
    return f"issuer {claims.iss}, audience {claims.aud}, container {claims.scope}"


def _hard_end(check: _Check) -> str:
    claims = _claims(check)
    if check.now >= claims.hmx:
        raise Refusal("over")
    return f"plays for {claims.hmx - check.now:.0f} s more at most"


def _scope(check: _Check) -> str:
    _under_scope(_claims(check), target(check.path))
    return f"{check.path} is under {_claims(check).scope}"


def _under_scope(claims: Claims, target: Target) -> None:
    """The scope ends with a slash, so `v/1/` does not open `v/10/`."""
    if not target.path.startswith(claims.scope):
        raise Refusal("scope" if target.path.startswith("v/") else "not-found")


def _ceiling(check: _Check) -> str:
    _under_ceiling(_claims(check), target(check.path))
    return f"ceiling {_claims(check).q or 'none'}"


def _under_ceiling(claims: Claims, target: Target) -> None:
    if claims.q and target.height > claims.q:
        raise Refusal("ceiling")


def _binding(check: _Check) -> str:
    _bound(_claims(check), check.device)
    return f"binding {_claims(check).b}"


def _bound(claims: Claims, device: str) -> None:
    """Hard binding refuses what is known to be another device; a player that names none is not refused here."""
    if claims.b == "hard" and is_other_device(claims, device):
        raise Refusal("binding")


def _start_window(check: _Check) -> str:
    left = _claims(check).exp - check.now
    if left <= 0:
        return "over: only a session that has started already may take a seat"
    return f"a session may start for {left:.0f} s more"


_Walk = tuple[tuple[str, Callable[[_Check], str]], ...]
_GENUINE: Final[_Walk] = (
    ("length", _length),
    ("form", _form),
    ("key", _key),
    ("signature", _signature),
    ("claims", _says),
    ("names", _names),
)
_OF_THE_PATH: Final = ("scope", "ceiling", "binding")
#: The order of checks; seat and start window follow in seats.py.
STEPS: Final[_Walk] = (
    *_GENUINE,
    ("hard end", _hard_end),
    ("scope", _scope),
    ("ceiling", _ceiling),
    ("binding", _binding),
    ("start window", _start_window),
)
