"""The gate as values: which tokens and paths pass, which do not, and what `explain` says of them."""

from __future__ import annotations

import base64
import hmac
import json
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.edge import gate
from gateway.edge.keyring import parse
from shared import keys, tokens
from tests.support.door import Door
from tests.support.edge import MASTER, OTHER, SEGMENT, TITLE, claims

NOW = 1_800_000_000.0
KEY_SET = keys.new_key_set()
SIGNER = keys.signing_key(KEY_SET)
KNOWN = parse(msgspec.json.encode(keys.jwks(KEY_SET))).keys
DOOR = Door(KEY_SET)
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def minted(**changes: Any) -> str:
    return tokens.mint(claims(NOW, **changes), SIGNER)


GOOD = minted()


def refusal(token: str, path: str = MASTER, *, now: float = NOW, device: str = "") -> str:
    """The code of the refusal; empty when the gate lets it in."""
    return DOOR.refusal(token, path, now=now, device=device)


def signed(payload: dict[str, Any] | str, header: dict[str, Any] | None = None) -> str:
    """A token with any payload and header under a genuine signature."""
    head = {"alg": "ES256", "kid": SIGNER.kid, "typ": "JWT", **(header or {})}
    parts = [json.dumps(head), payload if isinstance(payload, str) else json.dumps(payload)]
    text = ".".join(base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in parts)
    algorithm = jwt.get_algorithm_by_name("ES256")
    mark = algorithm.sign(text.encode(), SIGNER.private)
    return f"{text}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"


def test_a_good_token_opens_its_title() -> None:
    assert refusal(GOOD) == refusal(GOOD, SEGMENT) == refusal(GOOD, "end") == ""
    assert signed(msgspec.to_builtins(claims(NOW))) and refusal(signed(msgspec.to_builtins(claims(NOW)))) == ""


def _mutants() -> list[str]:
    """Every cut, and at every place: a flipped symbol, one too many, one too few, padding, and other spellings."""
    found = [GOOD[:length] for length in range(len(GOOD))]
    for place, symbol in enumerate(GOOD):
        other = "." if symbol != "." else "A"
        found.append(GOOD[:place] + ALPHABET[(ALPHABET.find(symbol) + 1) % 64] + GOOD[place + 1 :])
        found.append(GOOD[:place] + other + GOOD[place + 1 :])
        found.append(GOOD[:place] + GOOD[place + 1 :])
        found.append(f"{GOOD[:place]}%{ord(symbol):02X}{GOOD[place + 1 :]}")
    head, payload, mark = GOOD.split(".")
    found += [f"{head}=.{payload}.{mark}", f"{head}.{payload}=.{mark}", f"{GOOD}=", f"{GOOD}==", f"{GOOD}.", f".{GOOD}"]
    found += [f"{GOOD} ", f" {GOOD}", f"{GOOD}\n", f"{GOOD}\x00", f"{head}.{payload}.", f"{head}..{mark}", f"..{mark}"]
    found += [f"{payload}.{head}.{mark}", f"{head}.{mark}.{payload}", GOOD.swapcase(), GOOD.upper(), GOOD * 2]
    return [one for one in found if one != GOOD]


def test_every_mutant_of_a_token_is_refused() -> None:
    mutants = _mutants()
    assert len(mutants) >= 500
    assert [one for one in mutants if refusal(one) == ""] == []


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_token_with_any_symbols_changed_is_refused(data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(GOOD) - 1), min_size=1, max_size=6))
    text = list(GOOD)
    for place in places:
        text[place] = data.draw(st.sampled_from(ALPHABET + ".=+/ ~%é"))
    mutant = "".join(text)
    assert mutant == GOOD or refusal(mutant)


def test_stray_bits_in_the_last_symbol_are_refused() -> None:
    head, payload, mark = GOOD.split(".")
    # 64 bytes leave four unused bits in the last symbol: a lenient decoder reads the same signature from 16 spellings.
    spellings = {f"{head}.{payload}.{mark[:-1]}{symbol}" for symbol in ALPHABET} - {GOOD}
    assert {refusal(one) for one in spellings} == {"token-malformed", "token-forged"}
    assert [one for one in spellings if refusal(one) == "token-malformed"]


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"alg": "none"}, "token-forged"),
        ({"alg": "HS256"}, "token-forged"),
        ({"alg": "RS256"}, "token-forged"),
        ({"typ": "at+jwt"}, "token-forged"),
        ({"kid": "unknown"}, "token-unknown-key"),
        ({"kid": None}, "token-malformed"),
        ({"crit": ["b64"], "b64": False}, "token-malformed"),
        ({"jwk": {}}, "token-malformed"),
        ({"jku": "https://evil.example"}, "token-malformed"),
    ],
)
def test_a_header_that_is_not_the_expected_one_is_refused(header: dict[str, Any], code: str) -> None:
    assert refusal(signed(msgspec.to_builtins(claims(NOW)), header)) == code


def test_a_token_of_another_key_under_our_kid_is_refused() -> None:
    stranger = keys.signing_key(keys.new_key_set())
    forged = tokens.mint(claims(NOW), keys.SigningKey(kid=SIGNER.kid, alg="ES256", private=stranger.private))
    assert refusal(forged) == "token-forged"


def test_the_public_key_used_as_a_secret_signs_nothing() -> None:
    text = signed(msgspec.to_builtins(claims(NOW)), {"alg": "HS256"}).rpartition(".")[0]
    for secret in (json.dumps(keys.jwks(KEY_SET)), KEY_SET.current.x, f"{KEY_SET.current.x}.{KEY_SET.current.y}"):
        mark = base64.urlsafe_b64encode(hmac.digest(secret.encode(), text.encode(), "sha256")).rstrip(b"=")
        assert refusal(f"{text}.{mark.decode()}") == "token-forged"


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "other"},
        {"aud": "session"},
        {"cdniv": 2},
        {"cdniuc": "regex:.*"},
        {"scope": "v/", "cdniuc": tokens.container("v/")},
        {"scope": "v/ttl_a", "cdniuc": tokens.container("v/ttl_a")},
        {"scope": "", "cdniuc": tokens.container("")},
        {"scope": "v/../", "cdniuc": tokens.container("v/../")},
        {"sid": "x"},
        {"sid": "a b c d e f"},
        {"sub": "}{x"},
        {"b": "maybe"},
        {"cap": 0},
        {"q": -1},
    ],
)
def test_claims_that_do_not_hold_together_are_refused(changes: dict[str, Any]) -> None:
    assert refusal(minted(**changes)) == "token-claims"


def test_claims_of_another_shape_are_refused() -> None:
    body = msgspec.to_builtins(claims(NOW))
    for wrong in ({**body, "extra": 1}, {**body, "exp": "soon"}, {**body, "cap": 1.5}, {k: body[k] for k in ("iss",)}):
        assert refusal(signed(wrong)) == "token-claims"
    assert refusal(signed("not json")) == refusal(signed("[]")) == refusal(signed("null")) == "token-claims"


def test_a_token_longer_than_the_limit_is_not_even_parsed() -> None:
    assert refusal("a" * 1025) == "token-malformed"
    assert refusal("") == "token-missing"


def test_the_scope_ends_at_its_slash() -> None:
    assert refusal(GOOD, f"v/{OTHER}/e/ed1/1080.m3u8") == "scope"
    assert refusal(minted(scope="v/1/"), "v/10/e/ed1/1080.m3u8") == "scope"
    assert refusal(minted(scope="v/1/"), "v/1/e/ed1/1080.m3u8") == ""
    assert refusal(GOOD, f"work/{TITLE}/x.m4s") == "not-found"


def test_a_ceiling_closes_what_is_higher_and_nothing_else() -> None:
    token = minted(q=720)
    for path in (f"v/{TITLE}/ver1/1080/0/0.m4s", f"v/{TITLE}/e/ed1/1080.m3u8", f"v/{TITLE}/ver1/2160/init.mp4"):
        assert refusal(token, path) == "ceiling"
    for path in (
        SEGMENT,
        f"v/{TITLE}/e/9999/720.m3u8",
        f"v/{TITLE}/e/ed1/audio.m3u8",
        f"v/{TITLE}/9999/audio-0/0/1.m4s",
    ):
        assert refusal(token, path) == ""


def test_exp_is_not_the_gates_and_hmx_is() -> None:
    token = minted(exp=int(NOW) - 1)
    assert refusal(token) == ""
    assert refusal(token, now=NOW + tokens.HARD_END_S) == "over"
    assert refusal(token, "end", now=NOW + tokens.HARD_END_S) == "over"


def test_hard_binding_refuses_another_device_and_soft_does_not() -> None:
    assert refusal(minted(b="hard", d="one"), device="two") == "binding"
    assert refusal(minted(b="hard", d="one"), device="one") == refusal(minted(b="hard", d="one")) == ""
    assert refusal(minted(b="soft", d="one"), device="two") == ""


def test_a_device_is_another_where_both_are_known() -> None:
    assert gate.is_other_device(claims(NOW, d="one"), "two")
    for named, shown in (("one", "one"), ("one", ""), ("", "two"), ("", "")):
        assert not gate.is_other_device(claims(NOW, d=named), shown)


def test_explain_walks_the_steps_in_order_and_stops_at_the_refusal() -> None:
    good = gate.explain(GOOD, MASTER, KNOWN, now=NOW)
    assert [step.name for step in good] == [name for name, _ in gate.STEPS]
    assert all(step.ok and step.words for step in good)
    refused = gate.explain(minted(q=720), MASTER, KNOWN, now=NOW)
    assert refused[-1].name == "ceiling"
    assert not refused[-1].ok
    assert refused[-1].words.startswith("403 ceiling")
    assert [step.ok for step in refused[:-1]] == [True] * (len(refused) - 1)
    assert gate.explain(GOOD[:-3], "", KNOWN, now=NOW)[-1].name in ("form", "signature")
    assert "scope" not in {step.name for step in gate.explain(GOOD, "", KNOWN, now=NOW)}
