"""Jobs as values: progress, what counts as lost, what a job looks like to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.jobs.model import PATIENCE, Job, Piece, is_due, merge_progress, too_often, view

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def job(**about: object) -> Job:
    facts = {"id": "job_1", "title": "ttl_1", "upload": "upl_1", "seller": "sel_1", "master": "m", "sha256": "s"}
    return Job(**{**facts, "kind": "video", "queued_at": NOW, "renditions": ["720", "audio-0"], **about})  # type: ignore[arg-type]


def piece(chunk: str, **about: object) -> Piece:
    return Piece(job="job_1", chunk=chunk, **about)  # type: ignore[arg-type]


fractions = st.dictionaries(st.sampled_from(["720", "360", "audio-0"]), st.floats(-1, 2))


@given(st.lists(fractions))
def test_progress_never_goes_back_whatever_comes(reports: list[dict[str, float]]) -> None:
    state: dict[str, float] = {}
    for report in reports:
        merged = merge_progress(state, report)
        assert all(0 <= merged[name] <= 1 and merged[name] >= state.get(name, 0) for name in merged)
        state = merged


def test_view_says_how_far_each_rendition_is() -> None:
    pieces = [
        piece("0", progress={"720": 0.5}),
        piece("1", done_at=NOW),
        piece("sound", progress={"audio-0": 0.25}),
        piece("poster"),
        piece("probe", started=1, done_at=None),
    ]
    shown = view(job(state="encoding", speed=2.0), pieces)
    assert shown.renditions == {"720": 0.75, "audio-0": 0.25}
    assert 0.6 < shown.progress < 0.75
    assert (shown.state, shown.speed) == ("encoding", 2.0)


@pytest.mark.parametrize(("state", "progress"), [("queued", 0.0), ("finalising", 0.98), ("done", 1.0)])
def test_view_has_one_figure_when_nothing_is_encoding(state: str, progress: float) -> None:
    assert view(job(state=state), []).progress == progress


def test_view_says_probing_when_somebody_looks_at_the_master() -> None:
    assert view(job(), []).state == "queued"
    assert view(job(), [], probing=True).state == "probing"
    assert view(job(), [piece("probe", started=1)]).state == "probing"
    assert view(job(), [piece("probe", started=1, failures=1)]).state == "queued"


def test_progress_is_whole_when_all_chunks_are_done() -> None:
    pieces = [piece(name, done_at=NOW) for name in ("0", "sound", "poster")]
    assert view(job(state="encoding"), pieces).progress == 0.98


@pytest.mark.parametrize(
    ("started", "age_s", "held", "waiting", "due"),
    [
        (1, 31, False, 0, True),  # an attempt that lost its lease
        (1, 31, True, 0, False),  # one that goes on
        (1, 31, None, None, False),  # nobody can say
        (1, 29, False, 0, False),  # a ticket too young
        (0, 31, False, 0, True),  # a ticket that is in no queue
        (0, 31, False, 3, False),  # one that may be in the queue
        (0, 31, False, None, False),
        (0, PATIENCE.total_seconds(), False, 3, True),  # for too long
    ],
)
def test_piece_gets_a_ticket_again_when_it_is_lost(
    started: int, age_s: float, held: bool | None, waiting: int | None, due: bool
) -> None:
    one = piece("0", started=started, ticket_at=NOW - timedelta(seconds=age_s))
    assert is_due(one, now=NOW, lease_s=15, held=held, waiting=waiting) == due


def test_piece_is_given_up_when_counts_are_full() -> None:
    assert not too_often(piece("0", failures=2, lost=19))
    assert too_often(piece("0", failures=3))
    assert too_often(piece("0", lost=20))
