"""Titles as values: legal moves, parents, short ids, slugs, cursors, search terms."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.auth import Assignment, Principal
from gateway.control.catalogue.model import (
    MOVES,
    Kind,
    State,
    Title,
    check_move,
    check_parent,
    check_window,
    may_know,
    may_move,
    page,
    search_terms,
    short_id_length,
)
from gateway.control.catalogue.slug import slug_of
from gateway.control.paging import Cursor, decode_cursor, encode_cursor, page_size
from shared.errors import Conflict, Invalid

NOW = datetime(2026, 1, 1, tzinfo=UTC)
states, kinds = st.sampled_from(get_args(State)), st.sampled_from(get_args(Kind))


def title(**about: object) -> Title:
    return Title(**{"id": "ttl_1", "seller": "sel_1", "kind": "video", "name": "A", "created_at": NOW, **about})  # type: ignore[arg-type]


@given(state=states, target=states, kind=kinds, edition=st.sampled_from([None, "e1"]))
def test_moves_are_only_those_of_the_table(state: State, target: State, kind: Kind, edition: str | None) -> None:
    one = title(state=state, kind=kind, edition=edition)
    if kind in ("series", "season"):
        legal = (state, target) in {
            ("draft", "published"),
            ("draft", "archived"),
            ("published", "archived"),
            ("archived", "published"),
        }
    else:
        legal = target in MOVES[state] and not (target == "published" and edition is None)
    assert may_move(one, target) == legal
    if legal:
        check_move(one, target)
    else:
        with pytest.raises(Conflict):
            check_move(one, target)


@given(path=st.lists(states, max_size=12))
def test_a_title_is_never_on_show_without_an_edition(path: list[State]) -> None:
    state: State = "draft"
    for target in path:
        if may_move(title(state=state), target):
            state = target
    assert state != "published"


@pytest.mark.parametrize(
    ("kind", "parent", "fits"),
    [
        ("season", "series", True),
        ("episode", "series", True),
        ("episode", "season", True),
        ("season", "season", False),
        ("season", "video", False),
        ("episode", "episode", False),
        ("video", "series", False),
        ("series", "series", False),
        ("audio", "season", False),
        ("season", None, False),
        ("episode", None, False),
        ("video", None, True),
        ("series", None, True),
    ],
)
def test_parent_fits_when_its_kind_may_hold_the_title(kind: Kind, parent: Kind | None, fits: bool) -> None:
    holder = title(kind=parent) if parent else None
    if fits:
        check_parent(kind, holder, seller="sel_1")
    else:
        with pytest.raises(Invalid):
            check_parent(kind, holder, seller="sel_1")


def test_parent_of_another_seller_does_not_fit() -> None:
    with pytest.raises(Invalid):
        check_parent("season", title(kind="series", seller="sel_2"), seller="sel_1")


def test_short_ids_grow_when_a_space_is_more_than_half_full() -> None:
    assert short_id_length({}) == 4
    assert short_id_length({4: 31**4 // 2}) == 4
    assert short_id_length({4: 31**4 // 2 + 1}) == 5
    assert short_id_length({4: 10**9, 5: 10**9, 6: 10**9}) == 7
    assert short_id_length(dict.fromkeys(range(4, 9), 10**13)) == 8
    assert short_id_length({4: 9}, alphabet=2) == 5


@given(counts=st.dictionaries(st.integers(4, 8), st.integers(0, 10**12)))
def test_short_id_length_is_always_within_bounds(counts: dict[int, int]) -> None:
    assert 4 <= short_id_length(counts) <= 8


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Naruto: The Last", "naruto-the-last"),
        ("Größe & Maß", "groesse-and-mass"),
        ("Ærøskøbing", "aeroskobing"),
        ("Łódź", "lodz"),
        ("Война и мир", "voina-i-mir"),
        ("Подъём", "podyom"),
        ("Щука", "shchuka"),
        ("Ωδή στη χαρά", "odi-sti-chara"),
        ("Crème brûlée n°1", "creme-brulee-n-1"),
        ("It’s Mary's", "its-marys"),
        ("東京物語", "title"),
        ("---", "title"),
        ("a" * 100, "a" * 80),
    ],
)
def test_slug_is_latin_when_the_name_is_not(name: str, slug: str) -> None:
    assert slug_of(name) == slug


@given(st.text())
def test_slug_is_always_fit_for_an_address(name: str) -> None:
    slug = slug_of(name)
    assert 1 <= len(slug) <= 80
    assert set(slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not slug.startswith("-") and not slug.endswith("-") and "--" not in slug


@given(at=st.datetimes(timezones=st.just(UTC)), id=st.text(max_size=40))
def test_cursor_survives_the_way_there_and_back(at: datetime, id: str) -> None:
    assert decode_cursor(encode_cursor(Cursor(at, id))) == Cursor(at, id)


@given(st.text(max_size=60))
def test_cursor_that_no_page_gave_is_refused(text: str) -> None:
    try:
        found = decode_cursor(text)
    except Invalid:
        return
    assert (found is None and not text) or (found is not None and found.at.tzinfo)


@pytest.mark.parametrize(
    "text", ["0", "101", "-1", "x", "²", "1e3", "99999999999999999999", "0000000011000", "9" * 5000]
)
def test_page_size_is_refused_outside_its_bounds(text: str) -> None:
    with pytest.raises(Invalid):
        page_size(text)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", ("", "", "")),
        ("long wa", ("long wa", "long ", "wa")),
        ("wa", ("wa", "", "wa")),
        ('"the long"', ('"the long"', "", "")),
        ("film -bad", ("film -bad", "", "")),
        ("  a \x00 b  ", ("a b", "a ", "b")),
        ("x' | !!", ("x' | !!", "", "")),
    ],
)
def test_search_terms_take_the_last_word_as_a_prefix(text: str, terms: tuple[str, str, str]) -> None:
    assert search_terms(text) == terms


def test_window_that_ends_before_it_starts_is_refused() -> None:
    check_window(NOW, NOW + timedelta(seconds=1))
    check_window(None, NOW)
    with pytest.raises(Invalid):
        check_window(NOW, NOW)


def test_drafts_are_known_only_to_those_who_work_on_them() -> None:
    member = Principal("usr_1", "registered", "sub_1", (Assignment("uploader", "partner:sel_1"),))
    stranger = Principal("usr_2", "registered", "sub_2", (Assignment("owner", "partner:sel_2"),))
    for state in get_args(State):
        one = title(state=state)
        assert may_know(member, one)
        assert may_know(stranger, one) == may_know(None, one) == (state == "published")


def test_page_hides_the_reason_of_a_takedown_from_the_public() -> None:
    down = title(state="published", taken_down_at=NOW, takedown_reason="r", takedown_notice="n", has_poster=True)
    shown = page(down, None)
    assert shown.takedown and (shown.takedown.reason, shown.takedown.notice) == ("", "n")
    assert shown.poster_url is None
    inside = page(down, Principal("usr_1", "registered", "s", (Assignment("owner", "partner:sel_1"),)))
    assert inside.takedown and inside.takedown.reason == "r"
