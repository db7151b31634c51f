"""Sharing, judged by injected time: honest players of all kinds are left alone, several at one link are found."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from gateway.edge.places import Place, Places
from gateway.edge.reports import Report
from gateway.edge.sharing import Evidence
from gateway.edge.thresholds import limits_of
from shared.settings import EdgeSettings
from tests.support.fetches import (
    HONEST_RUNS,
    HONEST_S,
    Fetch,
    Honest,
    flat_out,
    judged,
    judged_by_edges,
    limits,
    together,
    viewer,
)

LIMITS = limits()
A, B, C, D = (Place(f"192.0.{number}.0/24", "FR") for number in range(4))
SIX = Place("2001:db8:1::/48", "FR", 6)


def test_the_thresholds_are_those_of_the_settings() -> None:
    names = {"segment_s": "segment_s"} | {
        name: f"sharing_{name}" for name in LIMITS.__struct_fields__ if name != "segment_s"
    }
    told = {setting: number for number, setting in enumerate(names.values(), 2)}
    found = limits_of(EdgeSettings(**told))
    assert {names[name]: value for name, value in msgspec.structs.asdict(found).items()} == told


def test_honest_players_are_left_alone() -> None:
    for seed in range(HONEST_RUNS):
        assert judged(Honest(Random(seed)).run(HONEST_S), LIMITS) is None, seed


def test_honest_players_are_left_alone_by_several_edges() -> None:
    for seed in range(HONEST_RUNS // 10):
        fetches = Honest(Random(seed)).run(HONEST_S)
        assert judged_by_edges(fetches, LIMITS, edges=3, random=Random(seed)) is None, seed


def test_a_download_at_full_speed_is_honest_unless_bound_hard() -> None:
    for seed in range(20):
        assert judged(flat_out(Random(seed)), LIMITS) is None
    found = judged(flat_out(Random(1)), LIMITS, binding="hard")
    assert found is not None and found[1].reason == "hoarded"


@pytest.mark.parametrize("apart_s", [0.0, 1.3, 3.9])
@pytest.mark.parametrize("edges", [1, 2, 3])
def test_three_who_watch_at_once_are_found_within_ten_seconds_of_two_windows(apart_s: float, edges: int) -> None:
    patient = limits(replays=10**6)
    runs = [viewer(place, start=number * apart_s) for number, place in enumerate((A, B, C))]
    found = judged_by_edges(together(*runs), patient, edges=edges, random=Random(7))
    assert found is not None
    at, finding = found
    assert finding.reason == "interleaved" and finding.score >= 1
    third_is_there = 2 * apart_s
    # Each came back in two windows of ten seconds after this at the latest, and it is judged ten seconds later.
    assert at <= third_is_there + 30 + 10


def test_two_who_take_turns_are_not_three() -> None:
    patient = limits(replays=10**6)
    runs = [viewer(A, start=0.0), viewer(B, start=1.0), viewer(SIX, start=0.5)]
    assert judged(together(*runs), patient) is None


def test_three_prefixes_one_after_the_other_are_a_journey() -> None:
    fetches = [*viewer(A, start=0, count=20), *viewer(B, start=80, first=18, count=20)]
    fetches += viewer(C, start=160, first=36, count=20)
    assert judged(fetches, LIMITS) is None


def test_a_train_that_changes_networks_each_few_seconds_is_one_hand() -> None:
    places = [Place(f"198.51.{number}.0/24") for number in range(10)]
    assert judged([Fetch(number / 2, number, False, places[number // 6]) for number in range(60)], LIMITS) is None


def test_one_lively_window_is_not_two() -> None:
    lively = [Fetch(20 + number, number, False, (A, B, C)[number % 3]) for number in range(9)]
    assert judged([*lively, *(Fetch(60.0 + number, 20 + number, False, A) for number in range(60))], LIMITS) is None


@pytest.mark.parametrize("edges", [1, 2])
def test_a_second_hand_that_follows_is_found_by_what_it_fetches_again(edges: int) -> None:
    first, second = viewer(A, start=0.0, count=300), viewer(B, start=600.0, count=100)
    found = judged_by_edges(together(first, second), LIMITS, edges=edges, random=Random(3))
    assert found is not None
    at, finding = found
    assert finding.reason == "replayed"
    # The eleventh index is fetched again 28 s after the second hand began; A fetches each 4 s.
    eleventh = 600 + (11 - 5) * 4
    assert eleventh < at <= eleventh + 4 + 10


def test_a_hand_over_is_not_sharing_even_when_much_is_fetched_again() -> None:
    wifi = viewer(A, start=0.0, count=100, ahead=60)
    mobile = viewer(B, start=170.0, first=40, count=100, ahead=60)
    assert judged([*wifi, *mobile], LIMITS) is None


def test_an_index_counts_once_a_hand_whatever_the_rendition() -> None:
    hands = [Fetch(float(tick), 3, bool(tick % 2), A if tick % 4 < 2 else B) for tick in range(100)]
    assert judged(hands, limits(media_s=10**6)) is None


def test_an_other_family_is_the_same_hand() -> None:
    both = [Fetch(tick / 2, tick // 2, bool(tick % 2), place) for tick in range(200) for place in (A, SIX)]
    assert judged(both, LIMITS) is None


def test_another_country_weighs_more_where_bound_softly() -> None:
    abroad = Place("203.0.113.0/24", "BR")

    def found(binding: str, place: Place) -> float:
        runs = together(viewer(A, start=0.0, count=40), viewer(place, start=20.0, count=40))
        at, _ = judged(runs, LIMITS, binding=binding) or (1e9, None)
        return at

    assert found("soft", abroad) < found("off", abroad) == found("soft", B) < 1e9


def test_another_device_weighs_more_where_bound_softly() -> None:
    places = Places(EdgeSettings())
    strange = places.on_other_device(B)

    def found(binding: str, first: Place, second: Place) -> float:
        runs = together(viewer(first, start=0.0, count=40), viewer(second, start=20.0, count=40))
        at, _ = judged(runs, LIMITS, binding=binding) or (1e9, None)
        return at

    usual = found("soft", A, B)
    assert found("soft", A, strange) < found("off", A, strange) == usual < 1e9
    assert found("soft", strange, A) < usual
    # Another country and another device are one reason, not two.
    abroad = places.on_other_device(Place("203.0.113.0/24", "BR"))
    assert found("soft", A, abroad) == found("soft", A, strange)


def test_what_a_prefix_shows_now_weighs_and_not_what_it_showed_first() -> None:
    strange = Places(EdgeSettings()).on_other_device(B)

    def found(second: Place) -> float:
        runs = [viewer(A, start=0.0, count=60), viewer(B, start=20.0, first=200, count=3)]
        at, _ = judged(together(*runs, viewer(second, start=60.0, count=40)), LIMITS, binding="soft") or (1e9, None)
        return at

    assert found(strange) < found(B) < 1e9


def test_another_device_of_one_prefix_is_the_same_hand() -> None:
    strange = Places(EdgeSettings()).on_other_device(A)
    assert judged(together(viewer(A, start=0.0), viewer(strange, start=1.0)), LIMITS, binding="soft") is None


def test_edges_tell_each_other_of_another_device() -> None:
    strange = Places(EdgeSettings()).on_other_device(A)
    here = Evidence(LIMITS, binding="soft")
    here.compare()
    here.fetched(Fetch(1.0, 1, False, strange), strange, 1.0)
    told = here.report("here", 2.0, with_past=True)
    assert told is not None
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(told), type=Report).places == [strange]


def test_what_is_fetched_again_flows_out_at_three_times_real_time() -> None:
    def again(each_s: float) -> tuple[float, object] | None:
        return judged([Fetch(number * each_s, number % 10, False, A) for number in range(3000)], LIMITS)

    assert again(4 / 3) is None
    found = again(1.0)
    # 4 s a second flow in and 3 out: the bucket of 720 s is full after as many seconds, and the first ten were new.
    assert found is not None and abs(found[0] - 730) < 15


def test_each_version_is_counted_apart() -> None:
    first = [Fetch(n / 10, n, False, A, version="ver1") for n in range(300)]
    second = [Fetch(30 + n / 10, n, False, A, version="ver2") for n in range(300)]
    assert judged(first + second, LIMITS) is None
    assert judged(first + [Fetch(30 + n / 10, n, False, A) for n in range(300)], LIMITS) is not None


def test_replays_count_for_a_minute() -> None:
    def again(each_s: float) -> object:
        one = [Fetch(number * each_s, number, False, A) for number in range(60)]
        two = [Fetch(number * each_s + 1, number, False, B) for number in range(60)]
        return judged(together(one, two), LIMITS)

    assert again(6.5) is None
    assert again(5.0) is not None


def test_hands_of_one_family_are_compared_in_each() -> None:
    sixes = [Place(f"2001:db8:{number}::/48", "", 6) for number in range(3)]
    runs = [viewer(place, start=float(number)) for number, place in enumerate(sixes)]
    assert judged(together(*runs), limits(replays=10**6)) is not None


def test_a_session_of_a_thousand_prefixes_stays_small() -> None:
    evidence = Evidence(LIMITS, binding="off")
    for number in range(5000):
        place = Place(f"10.{number >> 8 & 255}.{number & 255}.0/24")
        evidence.fetched(Fetch(float(number), number % 2000, False, place), place, float(number))
        evidence.judge(float(number))
    report = evidence.report("edge", 5000.0, with_past=True)
    assert report is not None and len(report.places) == 16


def test_a_session_of_a_thousand_versions_stays_small() -> None:
    evidence = Evidence(LIMITS, binding="off")
    for number in range(1000):
        for place in (A, B):
            evidence.fetched(Fetch(float(number), 0, False, place, version=f"ver{number}"), place, float(number))
    report = evidence.report("edge", 1000.0, with_past=True)
    assert report is not None and len(report.films) == 4 and len(report.past) == 8


def test_an_edge_that_comes_later_learns_the_past() -> None:
    here, there = Evidence(LIMITS, binding="off"), Evidence(LIMITS, binding="off")
    for index in range(40):
        here.fetched(Fetch(float(index), index, False, A), A, float(index))
    here.compare()
    told = here.report("here", 40.0, with_past=True)
    assert told is not None
    there.hear(told, 40.0)
    # Both hands go to the newcomer from now on, and the second fetches what only the past knows of.
    turns = [
        Fetch(41.0 + number, 40 + number // 2 if number % 2 else number // 2, False, (B, A)[number % 2])
        for number in range(60)
    ]
    assert any(there.fetched(turn, turn.place, turn.tick) and there.judge(turn.tick) for turn in turns)


def test_an_index_past_all_titles_is_not_noted() -> None:
    evidence = Evidence(LIMITS, binding="hard")
    for index in (-1, 1 << 16, 10**9):
        assert not evidence.fetched(Fetch(1.0, index, False, A), A, 1.0)
    assert evidence.judge(1.0) is None


def test_a_report_that_was_not_heard_is_told_again() -> None:
    here, there = Evidence(LIMITS, binding="off"), Evidence(LIMITS, binding="off")
    here.compare()
    here.fetched(Fetch(1.0, 1, False, A), A, 1.0)
    lost = here.report("here", 2.0, with_past=False)
    here.fetched(Fetch(3.0, 2, False, A), A, 3.0)
    told = here.report("here", 4.0, with_past=False)
    assert lost is not None and told is not None
    assert [(seen.index, seen.age_s) for seen in told.seen] == [(1, 3.0), (2, 1.0)]
    here.reported(told)
    assert here.report("here", 5.0, with_past=False) is None
    there.hear(told, 4.0)
    past = here.report("here", 5.0, with_past=True)
    assert past is not None and past.films[0].picture[0] == 0b110


def test_a_fetch_that_was_refused_takes_back_what_it_left_and_no_more() -> None:
    """Asking again for what is not there yet is no repeat; a refused repeat leaves what was served before."""
    strict = limits(media_s=3 * LIMITS.segment_s)
    fetch = Fetch(0.0, 5, False, A)
    evidence = Evidence(strict, binding="off")
    for _ in range(20):
        evidence.fetched(fetch, A, 0.0)
        evidence.unserved(fetch, evidence.trace)
    assert evidence.judge(0.0) is None

    evidence.fetched(fetch, A, 0.0)
    for _ in range(20):
        evidence.fetched(fetch, A, 0.0)
        evidence.unserved(fetch, evidence.trace)
    assert evidence.judge(0.0) is None
    for _ in range(4):
        evidence.fetched(fetch, A, 0.0)
    found = evidence.judge(0.0)
    assert found is not None and (found.reason, found.score) == ("hoarded", 1.33)
