"""Honest players in great number: none is taken for several people."""

from __future__ import annotations

import os
from random import Random

from tests.support.fetches import Honest, flat_out, judged, judged_by_edges, limits

RUNS = 10_000 if int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1 else 500


def test_no_honest_player_is_taken_for_several() -> None:
    usual = limits()
    for seed in range(RUNS):
        fetches = flat_out(Random(seed)) if seed % 10 == 0 else Honest(Random(seed)).run()
        assert judged(fetches, usual) is None, seed
    for seed in range(RUNS // 10):
        assert judged_by_edges(Honest(Random(seed)).run(), usual, edges=3, random=Random(seed)) is None, seed
