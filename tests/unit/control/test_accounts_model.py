"""Accounts as values: folding, names of devices, cookies, signed sessions, proofs of work."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from argon2 import PasswordHasher
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.accounts.adapters.bots import leading_zero_bits
from gateway.control.accounts.adapters.passwords import AT_ONCE, WAITING, Argon2
from gateway.control.accounts.model import Opened, browser, device_name, ending_cookie, fold, session_cookies
from gateway.control.accounts.sessions import Sessions
from gateway.control.auth import Principal
from shared.clock import ManualClock
from shared.errors import Unavailable
from shared.secrets import FolderSecrets

MOZILLA = "Mozilla/5.0 "
AGENTS = {
    MOZILLA + "(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0": "Firefox on Linux",
    MOZILLA + "(Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36": "Chrome on Windows",
    MOZILLA + "(Windows NT 10.0; Win64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0": "Edge on Windows",
    MOZILLA + "(Macintosh; Intel Mac OS X 10_15_7) Version/18.0 Safari/605.1.15": "Safari on macOS",
    MOZILLA + "(iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Mobile Safari/604.1": "Safari on iPhone",
    MOZILLA + "(iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Mobile Safari/604.1": "Chrome on iPhone",
    MOZILLA + "(Linux; Android 15; Pixel 9) Chrome/140.0 Mobile Safari/537.36": "Chrome on Android",
    "curl/8.5.0": "curl",
    "VLC/3.0.21 LibVLC/3.0.21": "VLC",
    "<script>alert(1)</script> x": "<script>alert(1)<",
    "/": "Unknown device",
    "": "Unknown device",
    " \t": "Unknown device",
}


@pytest.fixture
def sessions(tmp_path: Path) -> Sessions:
    secrets = FolderSecrets(tmp_path, {"USHER_SECRET_SESSION_HMAC": "k" * 32})
    return Sessions(secrets, ManualClock(), 3600)


@pytest.mark.parametrize("agent", AGENTS)
def test_device_has_a_name_people_know_when_it_tells_what_it_is(agent: str) -> None:
    assert device_name(agent) == AGENTS[agent]


@given(st.text(max_size=300))
def test_device_name_is_short_and_printable_whatever_is_sent(agent: str) -> None:
    name = device_name(agent)
    assert 0 < len(name) <= 40 and name.isprintable()


def test_browser_keeps_a_good_id_and_gets_one_for_a_bad_one() -> None:
    assert browser("a" * 22, "", "").device == "a" * 22
    for bad in ("", "short", "a" * 65, "a" * 21 + "\n", "a b" * 8, "ä" * 22):
        assert browser(bad, "", "").device not in (bad, browser(bad, "", "").device)


@given(st.text(max_size=60))
def test_folding_twice_is_folding_once(text: str) -> None:
    assert fold(fold(text)) == fold(text)


def test_folding_joins_what_people_take_for_the_same() -> None:
    assert fold(" Ada@Example.ORG ") == fold("ada@example.org") == "ada@example.org"
    assert fold("ＡＤＡ") == "ada"


def test_cookie_is_dropped_when_the_session_ends() -> None:
    opened = Opened(Principal("usr_1", "registered", "sub_1"), "signed", "device")
    assert session_cookies(opened, secure=True)[0] == (
        "usher_session=signed; Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax; Secure"
    )
    assert ending_cookie(secure=False) == "usher_session=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"


def test_session_is_known_by_its_hash_and_no_two_are_alike(sessions: Sessions) -> None:
    drawn = [sessions.draw() for _ in range(100)]
    assert len({each.signed for each in drawn}) == len({each.id for each in drawn}) == 100
    assert all(sessions.read(each.signed) == each.id and len(each.id) == 32 for each in drawn)


def test_session_of_another_key_is_nobodys(sessions: Sessions, tmp_path: Path) -> None:
    others = Sessions(FolderSecrets(tmp_path, {"USHER_SECRET_SESSION_HMAC": "x" * 32}), ManualClock(), 3600)
    assert sessions.read(others.draw().signed) is None


@given(st.text(max_size=120))
def test_session_is_none_whatever_else_is_sent(text: str) -> None:
    secrets = FolderSecrets(Path("nowhere"), {"USHER_SECRET_SESSION_HMAC": "k" * 32})
    assert Sessions(secrets, ManualClock(), 3600).read(text) is None


@pytest.mark.parametrize(("digest", "bits"), [(b"\xff" * 32, 0), (b"\x00\x0f" + b"\xff" * 30, 12), (b"\x00" * 32, 256)])
def test_zero_bits_are_counted_from_the_front(digest: bytes, bits: int) -> None:
    assert leading_zero_bits(digest) == bits


async def test_reset_token_is_the_same_each_time_and_another_for_each_mail_and_key(tmp_path: Path) -> None:
    sessions = Sessions(FolderSecrets(tmp_path, {"USHER_SECRET_SESSION_HMAC": "k" * 32}), ManualClock(), 3600)
    others = Sessions(FolderSecrets(tmp_path, {"USHER_SECRET_SESSION_HMAC": "x" * 32}), ManualClock(), 3600)
    tokens = [one.reset_token(mail) for one in (sessions, others) for mail in ("mail_1", "mail_2")]
    assert len(set(tokens)) == 4 and all(re.fullmatch(r"[\w-]{43}", token) for token in tokens)
    assert sessions.reset_token("mail_1") == tokens[0]


async def test_password_is_known_again_and_no_other_is() -> None:
    passwords = Argon2(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    stored = await passwords.hash("correct horse")
    assert stored.startswith("$argon2id$") and stored != await passwords.hash("correct horse")
    assert await passwords.verify(stored, "correct horse")
    assert not await passwords.verify(stored, "wrong horse")
    assert not await passwords.verify(None, "correct horse") and not await passwords.verify("plain", "plain")


async def test_hashing_is_refused_when_too_many_wait() -> None:
    passwords = Argon2(PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    asked = [passwords.hash("correct horse") for _ in range(AT_ONCE + WAITING + 10)]
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert sum(isinstance(answer, Unavailable) for answer in answers) == 10
    assert await passwords.hash("correct horse")
