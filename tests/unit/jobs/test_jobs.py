"""Jobs as values: progress, what counts as lost, what a job looks like to people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.control.jobs.model import Job, Piece, is_due, is_playable, too_often
from gateway.control.jobs.progress import merge_progress, view

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


PARTS = ("0", 8.0), ("1", 30.0), ("2", 30.02), ("10", 12.0)


@pytest.mark.parametrize(
    ("done", "spans"),
    [
        ("sound", []),
        ("0 1", []),
        ("0 sound", [[0.0, 8.0]]),
        ("sound 2 1", [[8.0, 68.02]]),
        ("10 sound 0", [[0.0, 8.0], [68.02, 80.02]]),
        ("2 10 sound 0 1", [[0.0, 80.02]]),
    ],
)
def test_view_says_which_spans_can_be_played_whatever_order_chunks_come_in(done: str, spans: list[list[float]]) -> None:
    pieces = [piece(chunk, media_s=length, done_at=NOW if chunk in done.split() else None) for chunk, length in PARTS]
    others = [piece(name, done_at=NOW if name in done.split() else None) for name in ("sound", "poster", "storyboard")]
    assert view(job(state="encoding", duration_s=80.02), [*reversed(pieces), *others]).made == spans


def test_view_of_sound_alone_can_be_played_when_all_of_it_is_there() -> None:
    assert view(job(duration_s=60.0), [piece("sound")]).made == []
    assert view(job(duration_s=60.0), [piece("sound", done_at=NOW)]).made == [[0.0, 60.0]]


def test_view_says_when_the_rest_is_made_by_what_runs_now() -> None:
    pieces = [
        piece("0", media_s=8.0, done_at=NOW, started=1),
        piece("1", media_s=30.0, progress={"720": 0.5}, started=1),
        piece("2", media_s=30.0, started=1),
        piece("3", media_s=30.0),
        piece("sound"),
    ]
    assert view(job(state="encoding", speed=2.5), pieces).eta_s == 15.0
    assert view(job(state="encoding", speed=2.5), pieces).renditions["720"] == round(23 / 98, 4)
    assert view(job(state="encoding", speed=0.0), pieces).eta_s is None
    assert view(job(state="cancelled", speed=2.5), pieces).eta_s is None


def test_view_says_that_a_master_was_refused_unless_another_try_may_help() -> None:
    assert view(job(state="failed", error_code="no-media"), [piece("probe", started=1)]).refused
    assert not view(job(state="failed", error_code="exit"), [piece("0", failures=3)]).refused
    assert not view(job(state="failed", error_code="workers-lost"), [piece("probe", lost=20)]).refused
    assert not view(job(state="failed", error_code="no-worker-fits"), [piece("0")]).refused
    assert not view(job(state="cancelled"), [piece("0")]).refused


def test_view_is_playable_from_the_first_part_on_until_the_job_fails() -> None:
    assert not view(job(state="encoding"), []).playable
    assert view(job(state="encoding", playable_at=NOW), []).playable
    assert not view(job(state="failed", playable_at=NOW), []).playable
    assert view(job(state="done"), []).playable


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
    ("age_s", "held", "due"),
    [
        (6, False, True),  # nobody has it and it waits nowhere
        (6, True, False),  # it is in work, or waits
        (6, None, False),  # nobody can say
        (4, False, False),  # its offer may be on the way
    ],
)
def test_piece_is_offered_again_when_it_is_lost(age_s: float, held: bool | None, due: bool) -> None:
    one = piece("0", started=1, ticket_at=NOW - timedelta(seconds=age_s))
    assert is_due(one, now=NOW, held=held) == due
    assert is_due(piece("0"), now=NOW, held=held) == (held is False)


@pytest.mark.parametrize(
    ("done", "edition", "playable"),
    [(("0", "sound"), "e1", True), (("0",), "e1", False), (("0", "sound"), None, False)],
)
def test_title_can_be_watched_when_its_opening_is_there(
    done: tuple[str, ...], edition: str | None, playable: bool
) -> None:
    pieces = [piece(name, done_at=NOW if name in done else None) for name in ("0", "1", "sound", "poster")]
    assert is_playable(job(edition=edition), pieces) == playable
    assert not is_playable(job(edition=edition, playable_at=NOW), pieces)


@pytest.mark.parametrize(
    ("progress", "playable", "spans"),
    [({}, False, []), ({"audio-0": 0.15}, False, [[0.0, 7.5]]), ({"audio-0": 0.5}, True, [[0.0, 25.0]])],
)
def test_sound_need_not_be_whole_to_be_heard(
    progress: dict[str, float], playable: bool, spans: list[list[float]]
) -> None:
    """It is published while it is encoded; half of that is there for certain."""
    sound = piece("sound", progress=progress)
    pieces = [piece("0", done_at=NOW, media_s=40.0), piece("1", media_s=60.0), sound]
    about = job(state="encoding", edition="e1", duration_s=100.0)
    assert is_playable(about, pieces) == playable
    assert view(about, pieces).made == spans
    assert not is_playable(about, [piece("0"), sound])
    assert view(about, [sound]).made == ([[0.0, spans[0][1]]] if spans else [])


def test_sound_alone_can_be_watched_when_its_sound_is_there() -> None:
    assert is_playable(job(edition="e1"), [piece("sound", done_at=NOW), piece("poster")])


def test_piece_is_given_up_when_counts_are_full() -> None:
    assert not too_often(piece("0", failures=2, lost=19))
    assert too_often(piece("0", failures=3))
    assert too_often(piece("0", lost=20))
