"""Tokens made to deceive: headers, signatures and claims as known attacks on JWT make them, each refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from shared import keys, tokens
from tests.support.door import Door
from tests.support.edge import SEGMENT, claims
from tests.support.token_edits import ORDER, signature

NOW = 1_800_000_000.0
KEY_SET = keys.new_key_set()
SIGNER = keys.signing_key(KEY_SET)
DOOR = Door(KEY_SET)
HEADER = {"alg": "ES256", "kid": SIGNER.kid, "typ": "JWT"}
BODY: dict[str, Any] = msgspec.to_builtins(claims(NOW))


def refusal(token: str) -> str:
    """The code; empty when the token opens a segment."""
    return DOOR.refusal(token, SEGMENT, now=NOW)


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unsigned(header: Any, body: Any) -> str:
    """Header and payload, each given as JSON text or as what becomes JSON."""
    parts = [part if isinstance(part, str) else json.dumps(part) for part in (header, body)]
    return ".".join(text(part.encode()) for part in parts)


def signed(header: Any = HEADER, body: Any = BODY) -> str:
    """The same under a genuine signature."""
    words = unsigned(header, body)
    return f"{words}.{text(jwt.get_algorithm_by_name('ES256').sign(words.encode(), SIGNER.private))}"


def members(values: dict[str, Any], *more: tuple[str, Any]) -> str:
    """A JSON object with `more` members after its own, the same names again."""
    return "{" + ",".join(f"{json.dumps(k)}:{json.dumps(v)}" for k, v in (*values.items(), *more)) + "}"


def test_the_genuine_one_is_admitted() -> None:
    assert refusal(signed()) == ""
    assert refusal(signed(members(HEADER), members(BODY))) == ""


@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", "HS256", "HS384", "HS512", "RS256", "PS256",
                                 "ES384", "ES512", "ES256K", "EdDSA", "es256", "ES256 ", "ES256\u0000"])  # fmt: skip
def test_no_other_algorithm_is_taken_whatever_the_signature(alg: str) -> None:
    header = HEADER | {"alg": alg}
    words = unsigned(header, BODY)
    assert refusal(signed(header)) == refusal(f"{words}.AA") == "token-forged"
    assert refusal(f"{words}.") == "token-malformed"


def test_the_public_key_is_no_secret_in_any_of_its_forms() -> None:
    public = SIGNER.private.public_key()
    forms = [
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        public.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint),
        public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint),
        json.dumps(keys.jwks(KEY_SET)).encode(),
        base64.urlsafe_b64decode(KEY_SET.current.x + "="),
        b"",
    ]
    for form in forms:
        for secret in (form, form.strip(), text(form).encode()):
            for name, digest in (("HS256", "sha256"), ("HS512", "sha512"), ("ES256", "sha256")):
                words = unsigned(HEADER | {"alg": name}, BODY)
                mark = hmac.digest(secret, words.encode(), digest)
                assert refusal(f"{words}.{text(mark)}") == "token-forged"


@pytest.mark.parametrize("kid", [
    "../../../../dev/null", "/etc/passwd", "jwks.json", "https://evil.example/jwks.json", "file:///dev/null",
    "' or 1=1 --", "$(id)", "|id", SIGNER.kid + " ", SIGNER.kid.upper(), SIGNER.kid + "\u0000", "", "*", "a" * 300,
])  # fmt: skip
def test_a_kid_is_a_name_and_nothing_else(kid: str) -> None:
    assert refusal(signed(HEADER | {"kid": kid})) == "token-unknown-key"


@pytest.mark.parametrize("kid", [None, 1, True, [SIGNER.kid], {"kid": SIGNER.kid}, 1.5])
def test_a_kid_of_another_type_is_refused(kid: Any) -> None:
    assert refusal(signed(HEADER | {"kid": kid})) == "token-malformed"


def test_a_header_without_kid_or_alg_is_refused() -> None:
    for name in ("kid", "alg"):
        assert refusal(signed({key: value for key, value in HEADER.items() if key != name})) == "token-malformed"


@pytest.mark.parametrize("extra", [
    {"crit": ["exp"]}, {"crit": []}, {"b64": False}, {"jwk": keys.jwks(KEY_SET)["keys"][0]}, {"jku": "https://e.example"},
    {"x5u": "https://e.example"}, {"x5c": ["MIIB"]}, {"x5t": "AA"}, {"zip": "DEF"}, {"enc": "A128GCM"}, {"cty": "JWT"},
    {"epk": {}}, {"p2c": 10_000_000}, {"ALG": "none"}, {"KID": SIGNER.kid}, {"": ""},
])  # fmt: skip
def test_a_header_that_says_more_is_refused(extra: dict[str, Any]) -> None:
    assert refusal(signed(HEADER | extra)) == "token-malformed"


@pytest.mark.parametrize("typ", ["at+jwt", "jwt", "JOSE", "", "dpop+jwt", "application/jwt"])
def test_another_type_of_token_is_refused(typ: str) -> None:
    assert refusal(signed(HEADER | {"typ": typ})) == "token-forged"


@pytest.mark.parametrize("twice", [("alg", "ES256"), ("alg", "none"), ("kid", "other"), ("typ", "JWT")])
def test_a_header_that_names_a_member_twice_is_refused(twice: tuple[str, str]) -> None:
    assert refusal(signed(members(HEADER, twice)))
    assert refusal(signed(members({twice[0]: twice[1]}, *HEADER.items())))


@pytest.mark.parametrize("name", sorted(BODY))
def test_a_claim_that_stands_twice_is_refused(name: str) -> None:
    assert refusal(signed(body=members(BODY, (name, BODY[name])))) == "token-claims"
    escaped = "".join(f"\\u{ord(symbol):04x}" for symbol in name)
    again = members(BODY)[:-1] + f',"{escaped}":{json.dumps(BODY[name])}' + "}"
    assert refusal(signed(body=again)) == "token-claims"


@pytest.mark.parametrize("name", sorted(BODY))
@pytest.mark.parametrize("value", [None, True, [], {}, 1.0, "1", -1, 10**30, [1], "\u0000"])
def test_a_claim_of_another_type_or_out_of_bounds_is_refused(name: str, value: Any) -> None:
    if name in ("jti", "w", "m", "d") and isinstance(value, str):
        value = 1
    if name == "sub" and value == "1":
        value = "{1}"
    assert refusal(signed(body=BODY | {name: value})) in ("token-claims", "over")


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "1e3", "01", "+1", "0x10", "1_000", "1.", ""]
)
@pytest.mark.parametrize("name", ["exp", "hmx", "iat", "cap", "q", "cdniv"])
def test_a_number_that_is_no_integer_is_refused(name: str, number: str) -> None:
    body = members(BODY | {name: 77777}).replace("77777", number)
    assert refusal(signed(body=body)) == "token-claims"


@pytest.mark.parametrize("body", [
    "", " ", "null", "true", "0", '""', "[]", "[{}]", "{}", "{", "}", "{}{}", "not json", "\ufeff{}", "[" * 500,
    members(BODY) + "x", members(BODY) + "{}", members(BODY).replace(",", ",,", 1), members(BODY)[:-1] + ",}",
    members(BODY).replace('"', "'"), "/* */" + members(BODY),
])  # fmt: skip
def test_a_payload_that_is_no_object_of_claims_is_refused(body: str) -> None:
    assert refusal(signed(body=body)) in ("token-claims", "token-malformed")


def test_text_that_is_not_utf8_is_refused() -> None:
    for raw in (members(BODY).encode().replace(b"viewer", b"view\xffr"), members(BODY).encode("utf-16")):
        words = f"{text(json.dumps(HEADER).encode())}.{text(raw)}"
        mark = jwt.get_algorithm_by_name("ES256").sign(words.encode(), SIGNER.private)
        assert refusal(f"{words}.{text(mark)}") == "token-claims"


def _fixed(r: int, s: int) -> bytes:
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


TOKEN = signed()
WORDS, (R, S) = TOKEN.rpartition(".")[0], signature(TOKEN)
DIGEST = int.from_bytes(hashlib.sha256(WORDS.encode()).digest(), "big")


@pytest.mark.parametrize("mark", [
    _fixed(0, 0), _fixed(0, S), _fixed(R, 0), _fixed(1, 1), _fixed(ORDER, S), _fixed(R, ORDER), _fixed(ORDER, ORDER),
    _fixed(ORDER - 1, ORDER - 1), _fixed(ORDER + 1, 1), _fixed(2**256 - 1, 2**256 - 1), _fixed(S, R),
    _fixed(ORDER - R, S), _fixed(R, R), _fixed(DIGEST % ORDER, DIGEST % ORDER), _fixed(R, (S + 1) % ORDER),
    encode_dss_signature(R, S), _fixed(R, S) + b"\0", b"\0" + _fixed(R, S), _fixed(R, S)[:-1], _fixed(R, S) * 2,
    _fixed(R, S)[:32], R.to_bytes(33, "big") + S.to_bytes(33, "big"), b"\x30\x06\x02\x01\x00\x02\x01\x00", b"\0",
    R.to_bytes(32, "little") + S.to_bytes(32, "little"), b"\0" * 63, b"\0" * 65, b"\xff" * 96,
])  # fmt: skip
def test_a_signature_that_is_none_is_refused(mark: bytes) -> None:
    assert refusal(f"{WORDS}.{text(_fixed(R, S))}") == ""
    assert refusal(f"{WORDS}.{text(mark)}") == "token-forged"


def test_parts_of_two_genuine_tokens_do_not_mix() -> None:
    one, two = signed().split("."), signed(body=BODY | {"sid": "session-other"}).split(".")
    for parts in ((one[0], two[1], one[2]), (one[0], one[1], two[2]), (two[0], one[1], two[2])):
        assert refusal(".".join(parts)) == "token-forged"


def test_a_token_over_the_limit_is_refused_even_when_genuine() -> None:
    long = signed(body=BODY | {"w": "w" * 600})
    assert len(long) > tokens.MAX_TOKEN_LENGTH
    assert refusal(long) == "token-malformed"


@pytest.mark.parametrize("spelling", [
    "{0}.{1}.{2}=", "{0}=.{1}.{2}", "{0}.{1}..{2}", ".{0}.{1}.{2}", "{0}.{1}.{2}.", "{0}.{1}", "{0}", "..", "...",
    "{0}.{1}.{2}.{2}", "{0}.{1}.{2}.{2}.{2}", " {0}.{1}.{2}", "{0}.{1}.{2}\n", "{0}\n.{1}.{2}", "{0}.{1}.{2}\r",
    "{0}.{1}.{2}\x00", "Bearer {0}.{1}.{2}", '"{0}.{1}.{2}"', "{0}%2E{1}%2E{2}", "{0}。{1}。{2}", "{0}.{1}.{2}\u200b",
])  # fmt: skip
def test_a_token_spelt_otherwise_is_refused(spelling: str) -> None:
    assert refusal(spelling.format(*signed().split("."))) == "token-malformed"


def test_standard_base64_and_stray_bits_are_refused() -> None:
    for _ in range(200):
        token = signed()
        if "-" in token or "_" in token:
            other = token.replace("-", "+").replace("_", "/")
            assert refusal(other) == "token-malformed"
            return
    raise AssertionError("no token with a symbol of its own alphabet")
