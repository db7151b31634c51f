"""Watch time as values: bits, lengths, days, positions."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.watching.model import (
    MOST_SEGMENTS,
    Segments,
    Step,
    Timeline,
    add,
    bits_of,
    bytes_of,
    ends_ms,
    follow,
    indexes,
    span,
    start_s,
)
from shared.errors import Invalid
from shared.watch import Watched

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
FILM = Timeline("v1", "ttl_1", False, (4000, 8000, 12000, 13500))
SOUND = Timeline("v1", "ttl_1", True, (4000, 8000))


def entry(base: int = 0, bits: bytes = b"", **more: Any) -> Watched:
    told = {"sid": "s", "sub": "sub", "title": "ttl_1", "version": "v1", "at": NOW.timestamp(), **more}
    return Watched(base=base, bits=bits, **told)


def ms(*entries: Watched, had: Segments | None = None, timeline: Timeline = FILM) -> int:
    step = follow(entries, had or Segments(), timeline=timeline, now=NOW)[1]
    return step.watched_ms if step else 0


@given(st.integers(0, 500), st.binary(max_size=40))
def test_bits_come_back_as_they_were_stored(base: int, data: bytes) -> None:
    bits = bits_of(base, data)
    assert set(indexes(bits)) == {
        base + 8 * n + bit for n, byte in enumerate(data) for bit in range(8) if byte >> bit & 1
    }
    assert int.from_bytes(bytes_of(bits), "little") == bits


@pytest.mark.parametrize(("base", "data"), [(-1, b"\x01"), (MOST_SEGMENTS + 1, b"\x01"), (0, b"\x01" * MOST_SEGMENTS)])
def test_bitmap_that_no_title_has_holds_nothing(base: int, data: bytes) -> None:
    assert bits_of(base, data) == 0


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=2)), max_size=5), st.randoms())
def test_seconds_are_those_of_the_union_in_any_order_and_however_often(
    parts: list[tuple[int, bytes]], random: Any
) -> None:
    timeline = Timeline("v1", "ttl_1", False, tuple(itertools.accumulate(range(1, 21))))
    entries = [entry(base, data) for base, data in parts]
    union = {
        base + 8 * n + bit for base, data in parts for n, byte in enumerate(data) for bit in range(8) if byte >> bit & 1
    }
    shuffled = [*entries, *entries]
    random.shuffle(shuffled)
    assert ms(*shuffled, timeline=timeline) == sum(index + 1 for index in union if index < 20)


def test_what_was_sent_before_is_not_new() -> None:
    had, step = follow([entry(0, b"\x03")], Segments(), timeline=FILM, now=NOW)
    assert (had, step and step.days) == (Segments(3), {date(2026, 11, 21): 8000})
    had, step = follow([entry(1, b"\x07", sound_bits=b"\x01")], had, timeline=FILM, now=NOW)
    assert (had, step and step.days) == (Segments(15, 2), {date(2026, 11, 21): 5500})


def test_sound_counts_only_where_there_is_no_picture() -> None:
    assert ms(entry(sound_bits=b"\x03")) == 0
    assert ms(entry(sound_bits=b"\x03"), timeline=SOUND) == 8000


def test_days_are_those_of_the_entries_and_never_later_than_now() -> None:
    yesterday, ahead = (NOW - timedelta(days=1)).timestamp(), (NOW + timedelta(days=3)).timestamp()
    entries = [entry(1, b"\x01", at=ahead), entry(0, b"\x03", at=yesterday)]
    _, step = follow(entries, Segments(), timeline=FILM, now=NOW)
    assert step and step.days == {date(2026, 11, 20): 8000} and step.seen_at == NOW
    assert ms(entry(0, b"\x01", at=1e300)) == 4000


def test_position_is_the_newest_that_was_told() -> None:
    told = [entry(at=NOW.timestamp() - 1, position_s=9.5), entry(at=NOW.timestamp() - 5, position_s=3.0)]
    _, step = follow([*told, entry(0, b"\x01")], Segments(), timeline=FILM, now=NOW)
    assert step and step.position_s == 9.5
    _, step = follow([entry(position_s=99.0), entry(position_s=float("nan"))], Segments(), timeline=FILM, now=NOW)
    assert step and step.position_at is None


def test_position_is_guessed_behind_the_last_run_where_nobody_told() -> None:
    long = Timeline("v1", "ttl_1", False, tuple(range(4000, 404_000, 4000)))
    _, step = follow([entry(0, b"\xff\xff")], Segments(), timeline=long, now=NOW)
    assert step and step.position_s == 64 - 30
    _, step = follow([entry(50, b"\x03")], Segments(0xFFFF), timeline=long, now=NOW)
    assert step and step.position_s == 200, "a jump: not before the place that was jumped to"
    assert step.position_at == NOW - timedelta(seconds=60)


def test_two_versions_of_a_title_are_one_step() -> None:
    day = NOW.date()
    older = Step(NOW - timedelta(hours=1), {day: 10}, 5.0, NOW - timedelta(hours=1))
    assert add(older, Step(NOW, {day: 5}, 7.0, NOW)) == Step(NOW, {day: 15}, 7.0, NOW)
    assert add(older, Step(NOW, {}, 0.0, None)) == Step(NOW, {day: 10}, 5.0, older.position_at)
    assert add(None, older) == older


@pytest.mark.parametrize(
    ("position", "duration", "start"), [(50.04, 100.0, 50.0), (95.0, 100.0, 95.0), (95.1, 100.0, 0.0), (9.0, None, 0.0)]
)
def test_start_is_the_beginning_where_nearly_all_was_seen(
    position: float, duration: float | None, start: float
) -> None:
    assert start_s(position, duration) == start


def test_ends_do_not_add_up_what_is_rounded() -> None:
    assert ends_ms(["4.0004"] * 5) == (4000, 8001, 12001, 16002, 20002)


def test_span_is_thirty_days_unless_said_otherwise() -> None:
    today = date(2026, 11, 21)
    assert span("", "", today) == (date(2026, 10, 23), today)
    assert span("2026-11-01", "2026-11-01", today) == (date(2026, 11, 1), date(2026, 11, 1))
    for first, last in (("2026-11-02", "2026-11-01"), ("yesterday", ""), ("2020-01-01", ""), ("", "0001-01-02")):
        with pytest.raises(Invalid):
            span(first, last, today)
