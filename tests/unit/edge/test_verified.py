"""Verified tokens are remembered within bounds, failures are limited, and a flood of them keeps nobody else out."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from gateway.edge.failures import IN_TOTAL, PER_ADDRESS, SAVED_S
from gateway.edge.keyring import Keyring
from gateway.edge.refusals import Refusal
from gateway.edge.verified import SUSPECTS_WAITING, WAITING, Failures, Verified
from shared import keys, tokens
from tests.support.edge import DEADLINE_S, claims
from tests.support.token_edits import ORDER, other_spelling, signature

NOW = 1_800_000_000.0
KEY_SET = keys.new_key_set()
SIGNER = keys.signing_key(KEY_SET)


def verified(folder: Path, clock: list[float], *, size: int = 100) -> Verified:
    file = folder / "jwks.json"
    file.write_bytes(msgspec.json.encode(keys.jwks(KEY_SET)))
    ring = Keyring("", file, tick=lambda: clock[0])
    ring.load()
    return Verified(ring, Failures(tick=lambda: clock[0]), size=size, at_once=1)


async def code(known: Verified, token: bytes, address: str = "192.0.2.1") -> str:
    try:
        await known.claims(token, address)
    except Refusal as refused:
        return refused.code
    return ""


async def test_a_token_is_known_once_verified(tmp_path: Path) -> None:
    known, token = verified(tmp_path, [0.0]), tokens.mint(claims(NOW), SIGNER).encode()
    assert known.known(token) is None
    found = await known.claims(token, "192.0.2.1")
    assert known.known(token) is found
    known.forget()
    assert known.known(token) is None


async def test_the_least_recently_used_token_is_forgotten_first(tmp_path: Path) -> None:
    known = verified(tmp_path, [0.0], size=2)
    first, second, third = (tokens.mint(claims(NOW), SIGNER).encode() for _ in range(3))
    for token in (first, second):
        await known.claims(token, "192.0.2.1")
    assert known.known(first)
    await known.claims(third, "192.0.2.1")
    assert [bool(known.known(token)) for token in (first, second, third)] == [True, False, True]


async def test_failures_of_an_address_end_in_429_for_the_second(tmp_path: Path) -> None:
    clock = [5.0]
    known, good = verified(tmp_path, clock), tokens.mint(claims(NOW), SIGNER).encode()
    codes = [await code(known, b"a.b.%d" % number) for number in range(PER_ADDRESS + 10)]
    assert set(codes[:PER_ADDRESS]) == {"token-malformed"}
    assert set(codes[PER_ADDRESS:]) == {"too-many"}
    assert await code(known, good) == "too-many"
    assert await code(known, good, "192.0.2.2") == ""
    clock[0] = 6.0
    assert await code(known, tokens.mint(claims(NOW), SIGNER).encode()) == ""


def forged(token: bytes) -> bytes:
    """The same with a signature that is none."""
    mark = base64.urlsafe_b64encode(secrets.token_bytes(64)).rstrip(b"=")
    return token.rpartition(b".")[0] + b"." + mark


def good(sid: str = "session-good") -> bytes:
    return tokens.mint(claims(NOW, sid=sid), SIGNER).encode()


async def flood(
    known: Verified, clock: list[float], senders: Sequence[str], *, per_s: int, seconds: int
) -> list[Counter[str]]:
    """Forgeries of senders who take turns, and ten viewers a second, each of whom comes from an address of their own
    with a link that nobody has seen. What each second's forgeries were answered; all viewers come in."""
    genuine, told, sent = good(), [], 0
    for second in range(seconds):
        codes: Counter[str] = Counter()
        for number in range(per_s):
            clock[0] += 1 / per_s
            codes[await code(known, forged(genuine), senders[sent % len(senders)])] += 1
            sent += 1
            if number % (per_s // 10) == 0:
                assert await code(known, good(), f"198.51.{second}.{number * 10 // per_s}") == ""
        told.append(codes)
    assert set().union(*told) <= {"token-forged", "too-many"}
    return told


async def test_a_flood_from_few_addresses_keeps_no_viewer_out(tmp_path: Path) -> None:
    clock = [1000.0]
    known = verified(tmp_path, clock, size=10_000)
    told = await flood(known, clock, [f"10.0.0.{number}" for number in range(50)], per_s=2000, seconds=4)
    looked_at = [codes["token-forged"] for codes in told]
    # Each of them is met once out of what is saved; then they share one half of what may fail in a second.
    assert max(looked_at) <= IN_TOTAL // 2 + 50 and min(looked_at) >= IN_TOTAL // 4


async def test_a_flood_from_thousands_of_addresses_keeps_no_viewer_out(tmp_path: Path) -> None:
    clock = [1000.0]
    known = verified(tmp_path, clock, size=10_000)
    senders = [f"10.{number >> 8}.{number & 255}.1" for number in range(5000)]
    told = await flood(known, clock, senders, per_s=2000, seconds=6)
    looked_at = [codes["token-forged"] for codes in told]
    # 5,000 are met once each within 2.5 s, and are suspects from then on.
    assert sum(looked_at) <= 5000 + len(told) * IN_TOTAL // 2
    assert max(looked_at[3:]) <= IN_TOTAL // 2


async def test_what_is_looked_at_is_bounded_wherever_it_comes_from(tmp_path: Path) -> None:
    clock = [1000.0]
    known, genuine = verified(tmp_path, clock), good()
    codes = Counter(
        [await code(known, forged(genuine), f"sender-{number}") for number in range(SAVED_S * IN_TOTAL + 9)]
    )
    assert codes == {"token-forged": SAVED_S * IN_TOTAL, "too-many": 9}


class Crowd:
    """Requests with new tokens that all came in one turn of the loop."""

    def __init__(self, known: Verified) -> None:
        self.known, self.tasks = known, list[asyncio.Task[str]]()

    def come(self, token: bytes, address: str) -> asyncio.Task[str]:
        self.tasks.append(asyncio.create_task(code(self.known, token, address)))
        return self.tasks[-1]

    def answered(self) -> Counter[str]:
        return Counter(task.result() for task in self.tasks if task.done())


async def test_one_token_is_looked_at_each_turn_of_the_loop(tmp_path: Path) -> None:
    crowd = Crowd(verified(tmp_path, [1000.0]))
    genuine = good()
    assert await code(crowd.known, genuine) == ""
    for number in range(300):
        crowd.come(forged(genuine), f"10.0.0.{number % 50}")
    async with asyncio.timeout(DEADLINE_S):
        while not all(task.done() for task in crowd.tasks):
            before = crowd.answered()["token-forged"]
            await asyncio.sleep(0)
            assert crowd.answered()["token-forged"] - before <= 1
            # Who is known does not wait.
            assert crowd.known.known(genuine) is not None
    assert crowd.answered() == {"token-forged": 300}


async def test_a_viewer_is_not_behind_all_forgeries_that_wait(tmp_path: Path) -> None:
    crowd = Crowd(verified(tmp_path, [1000.0]))
    genuine = good()
    for number in range(600):
        crowd.come(forged(genuine), f"10.0.0.{number % 4}")
    viewer = crowd.come(genuine, "192.0.2.1")
    assert await viewer == ""
    # One of each of the four senders, and as many again from the lane that they were sent to.
    assert crowd.answered().total() <= 2 * 4 + 3
    await asyncio.gather(*crowd.tasks)
    assert crowd.answered() == {"token-forged": 4 * PER_ADDRESS, "too-many": 600 - 4 * PER_ADDRESS, "": 1}


async def test_who_fails_makes_room_for_the_others_at_once(tmp_path: Path) -> None:
    crowd = Crowd(verified(tmp_path, [1000.0]))
    genuine = good()
    # The first has the turn, and the rest of them all places.
    crowd.come(genuine, "192.0.2.1")
    for number in range(WAITING + 1):
        crowd.come(forged(genuine), f"10.0.0.{number % 2}")
    await asyncio.sleep(0)
    assert crowd.answered() == {"": 1, "too-many": 1}
    for _ in range(5):
        await asyncio.sleep(0)
    viewers = [crowd.come(good(f"session-{number}"), f"192.0.2.{number}") for number in range(50)]
    assert set(await asyncio.gather(*viewers)) == {""}
    await asyncio.gather(*crowd.tasks)


async def test_suspects_fill_their_own_lane_alone(tmp_path: Path) -> None:
    crowd = Crowd(verified(tmp_path, [1000.0]))
    genuine = good()
    for number in range(10):
        assert await code(crowd.known, forged(genuine), f"10.0.0.{number}") == "token-forged"
    for number in range(SUSPECTS_WAITING + 100):
        crowd.come(forged(genuine), f"10.0.0.{number % 10}")
    await asyncio.sleep(0)
    assert crowd.answered()["too-many"] >= 99
    viewers = [crowd.come(good(f"session-{number}"), f"192.0.2.{number}") for number in range(100)]
    assert set(await asyncio.gather(*viewers)) == {""}
    await asyncio.gather(*crowd.tasks)


async def test_the_line_is_short(tmp_path: Path) -> None:
    crowd = Crowd(verified(tmp_path, [1000.0], size=2 * WAITING))
    waiting = [crowd.come(good(f"session-{number}"), f"192.0.2.{number}") for number in range(WAITING + 5)]
    await asyncio.gather(*waiting)
    assert crowd.answered() == {"": WAITING + 1, "too-many": 4}


async def test_requests_that_come_together_with_one_new_token_look_at_it_once(tmp_path: Path) -> None:
    known, token = verified(tmp_path, [1000.0]), good()
    found = await asyncio.gather(*(known.claims(token, "192.0.2.1") for _ in range(6)))
    assert all(one is found[0] for one in found)


async def test_a_token_has_two_spellings_and_both_are_one_session(tmp_path: Path) -> None:
    known, token = verified(tmp_path, [1000.0], size=10), good()
    other = other_spelling(token.decode()).encode()
    one, two = await known.claims(token, "192.0.2.1"), await known.claims(other, "192.0.2.1")
    assert other != token and one == two and one.sid == "session-good"
    # The second spelling of the second is the first: there is no third.
    assert other_spelling(other.decode()) == token.decode()


async def test_either_half_of_signatures_is_drawn(tmp_path: Path) -> None:
    """Why both spellings are taken: our own tokens have either."""
    known, halves = verified(tmp_path, [1000.0]), Counter[bool]()
    for number in range(64):
        token = good(f"session-{number}")
        assert await code(known, token) == ""
        halves[signature(token.decode())[1] > ORDER // 2] += 1
    assert len(halves) == 2


async def test_no_keys_at_all_is_503_and_not_the_viewers_fault(tmp_path: Path) -> None:
    ring = Keyring("", tmp_path / "none.json", tick=lambda: 0.0)
    known = Verified(ring, Failures(tick=lambda: 0.0))
    with pytest.raises(Refusal) as refused:
        await known.claims(tokens.mint(claims(NOW), SIGNER).encode(), "192.0.2.1")
    assert (refused.value.status, refused.value.code) == (503, "keys-unavailable")


async def test_a_key_published_later_is_found_by_its_kid(tmp_path: Path) -> None:
    clock = [0.0]
    known = verified(tmp_path, clock)
    newer = keys.new_key_set()
    token = tokens.mint(claims(NOW), keys.signing_key(newer)).encode()
    assert await code(known, token) == "token-unknown-key"
    (tmp_path / "jwks.json").write_bytes(msgspec.json.encode(keys.jwks(newer)))
    clock[0] = 10.0
    assert await code(known, token) == ""
