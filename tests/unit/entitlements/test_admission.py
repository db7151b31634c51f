"""Rights as values: which one is used, when it is over, and until when one may watch by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from gateway.control.auth import Assignment, Principal
from gateway.control.catalogue.model import Title
from gateway.control.entitlements.model import Right, Span, Standing, admit, choose

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
VIEWER = Principal("usr_1", "registered", "sub_1")
TITLE = Title(
    id="ttl_1", seller="slr_1", kind="video", name="The Long Way", state="published", edition="e1", price_minor=499,
    duration_s=3600.0, created_at=NOW - DAY,
)  # fmt: skip
GRANT = Right(id="grant", scope="ttl_1", kind="grant")
OWN = Right(id="own", scope="ttl_1", kind="purchase")


def rent(id: str = "rent", *, ends_in: timedelta = 30 * DAY, hours: int = 24, **about: Any) -> Right:
    span_s = hours * 3600
    return Right(id=id, scope="ttl_1", kind="purchase", term="rent", span_s=span_s, ends_at=NOW + ends_in, **about)


def running(id: str = "running", *, ends_in: timedelta) -> Right:
    return rent(id, ends_in=ends_in, first_play_at=NOW + ends_in - DAY, link_at=NOW + ends_in - DAY)


def view(id: str = "view", *, ends_in: timedelta = 30 * DAY, **about: Any) -> Right:
    return Right(id=id, scope="ttl_1", kind="purchase", term="view", ends_at=NOW + ends_in, **about)


def test_right_that_lasts_is_used_before_what_runs_and_that_before_what_must_be_begun() -> None:
    in_order = [
        OWN,
        running("long", ends_in=20 * HOUR),
        running("short", ends_in=2 * HOUR),
        view("seen", ends_in=HOUR, sid="s1", first_play_at=NOW - HOUR, link_at=NOW - HOUR, span_s=7200),
        rent("soon", ends_in=2 * DAY),
        rent("later", ends_in=20 * DAY),
        view("unseen", ends_in=1 * DAY),
    ]
    for first in range(len(in_order)):
        left = in_order[first:]
        assert choose(reversed(left), NOW) == choose(left, NOW) == left[0]
    assert choose([], NOW) is None


def test_right_is_over_when_its_time_ran_or_it_was_not_begun_in_time() -> None:
    assert choose([running(ends_in=HOUR)], NOW + HOUR) is None
    assert choose([rent(ends_in=DAY)], NOW + DAY - timedelta(seconds=1)) is not None
    assert choose([rent(ends_in=DAY)], NOW + DAY) is None


def test_rental_runs_from_the_first_link_when_no_edge_tells_of_a_play() -> None:
    linked = rent(link_at=NOW + timedelta(minutes=5))
    assert choose([linked], NOW + DAY) is not None
    assert choose([linked], NOW + DAY + timedelta(minutes=5)) is None
    late = rent(ends_in=timedelta(minutes=1), link_at=NOW + timedelta(minutes=5))
    assert choose([late], NOW + HOUR) is late, "it was begun in time"


@pytest.mark.parametrize(
    ("rights", "reason", "until"),
    [
        ([], "no-right", None),
        ([GRANT], "grant", None),
        ([OWN], "purchase", None),
        ([rent()], "rent", NOW + DAY),
        ([rent(hours=72)], "rent", NOW + 3 * DAY),
        ([running(ends_in=HOUR)], "rent", NOW + HOUR),
        ([view()], "view", NOW + 3 * HOUR),
        ([rent(link_at=NOW - 2 * HOUR)], "rent", NOW + 22 * HOUR),
        ([running(ends_in=-HOUR)], "right-ended", None),
        ([running(ends_in=-HOUR), rent("again")], "rent", NOW + DAY),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_admission_says_by_which_right_and_until_when(rights: list[Right], reason: str, until: datetime | None) -> None:
    found = admit(TITLE, VIEWER, standing=Standing(priced=True, rights=rights), now=NOW)
    assert (found.decision.reason, found.until) == (reason, until)
    assert found.right is choose(rights, NOW)


def test_window_of_the_title_ends_every_right() -> None:
    title = msgspec.structs.replace(TITLE, window_until=NOW + HOUR)
    for standing in (
        Standing(priced=False),
        Standing(priced=True, rights=[OWN]),
        Standing(priced=True, rights=[rent()]),
    ):
        assert admit(title, VIEWER, standing=standing, now=NOW).until == NOW + HOUR


def test_free_time_uses_no_rental_up_and_ends_when_the_last_right_does() -> None:
    weekend = [Span(NOW - DAY, NOW + DAY)]
    found = admit(TITLE, None, standing=Standing(priced=True, free=weekend), now=NOW)
    assert (found.decision.reason, found.until, found.right) == ("free", NOW + DAY, None)
    assert admit(TITLE, None, standing=Standing(priced=True, free=weekend), now=NOW + DAY).decision.reason == "no-right"
    kept = admit(TITLE, VIEWER, standing=Standing(priced=True, free=weekend, rights=[rent()]), now=NOW)
    assert (kept.decision.reason, kept.until, kept.right) == ("free", NOW + DAY, None)
    owned = admit(TITLE, VIEWER, standing=Standing(priced=True, free=weekend, rights=[OWN]), now=NOW)
    assert (owned.decision.reason, owned.until) == ("free", None)


def test_blocked_viewer_is_refused_whatever_they_own_and_what_is_free() -> None:
    for standing in (Standing(priced=False, blocked=True), Standing(priced=True, blocked=True, rights=[OWN])):
        assert admit(TITLE, VIEWER, standing=standing, now=NOW).decision.reason == "blocked"


def test_owner_watches_without_an_end() -> None:
    owner = msgspec.structs.replace(VIEWER, assignments=(Assignment("owner", "partner:slr_1"),))
    title = msgspec.structs.replace(TITLE, window_until=NOW + HOUR)
    found = admit(title, owner, standing=Standing(priced=True, rights=[rent()]), now=NOW)
    assert (found.decision.reason, found.until, found.right) == ("owner", None, None)
