"""Reels: each bit is told once, and nothing that was told in vain is lost."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from gateway.edge.bitmaps import MAX_INDEX, has, joined, mark, packed
from gateway.edge.delivered import Reel
from shared.watch import Watched


def reel() -> Reel:
    return Reel("sid", "sub", title="ttl", version="ver")


def indexes(entry: Watched, *, sound: bool = False) -> set[int]:
    """The indexes an entry tells."""
    bits = int.from_bytes(entry.sound_bits if sound else entry.bits, "little")
    return {entry.base + number for number in range(bits.bit_length()) if bits >> number & 1}


def test_a_reel_tells_what_was_marked_picture_and_sound_apart() -> None:
    one = reel()
    assert not one.is_fresh
    for index in (803, 800, 811):
        one.mark(index, False)
    one.mark(805, True)
    entry = one.entry()
    assert one.is_fresh
    assert (entry.sid, entry.sub, entry.title, entry.version) == ("sid", "sub", "ttl", "ver")
    assert entry.base == 800 and entry.bits == b"\x09\x08" and entry.sound_bits == b"\x20"
    assert indexes(entry) == {800, 803, 811} and indexes(entry, sound=True) == {805}


def test_each_bit_is_told_once_and_all_are_told() -> None:
    random, one = Random(1), reel()
    marked: dict[bool, set[int]] = {False: set(), True: set()}
    told: dict[bool, list[int]] = {False: [], True: []}
    for _ in range(200):
        for _ in range(random.randrange(6)):
            index, is_sound = random.randrange(2000), random.random() < 0.5
            one.mark(index, is_sound)
            marked[is_sound].add(index)
        entry = one.entry()
        if random.random() < 0.5:
            continue
        one.has(entry)
        for is_sound in (False, True):
            told[is_sound] += indexes(entry, sound=is_sound)
    last = one.entry()
    for is_sound in (False, True):
        told[is_sound] += indexes(last, sound=is_sound)
        assert len(told[is_sound]) == len(set(told[is_sound])) and set(told[is_sound]) == marked[is_sound]


def test_a_mark_that_is_there_makes_nothing_fresh() -> None:
    one = reel()
    one.mark(5, False)
    one.is_fresh = False
    one.mark(5, False)
    assert not one.is_fresh
    one.mark(5, True)
    assert one.is_fresh


def test_a_stream_that_was_lost_is_told_everything_again() -> None:
    one = reel()
    one.forget_sent()
    assert not one.is_fresh
    one.mark(3, False)
    one.has(one.entry())
    one.mark(9, True)
    assert indexes(one.entry()) == set()
    one.is_fresh = False
    one.forget_sent()
    assert one.is_fresh and indexes(one.entry()) == {3} and indexes(one.entry(), sound=True) == {9}


def test_an_index_past_all_titles_takes_no_memory() -> None:
    one = reel()
    for index in (MAX_INDEX, 10**9):
        one.mark(index, False)
    assert not one.is_fresh and len(one.picture) == 0
    one.mark(MAX_INDEX - 1, False)
    assert indexes(one.entry()) == {MAX_INDEX - 1}


def bits() -> Iterator[bytearray]:
    random = Random(2)
    for _ in range(50):
        one = bytearray()
        for _ in range(random.randrange(20)):
            mark(one, random.randrange(300))
        yield one


def test_bitmaps_join_and_say_what_they_have() -> None:
    for one, other in zip(bits(), reversed(list(bits())), strict=True):
        both = joined(one, bytes(other))
        assert [has(both, index) for index in range(400)] == [
            has(one, index) or has(other, index) for index in range(400)
        ]
    assert len(joined(b"\x01", bytes(10**6))) == MAX_INDEX >> 3
    assert packed(0) == b"" and packed(0x0100) == b"\x00\x01"
