"""Masters with bits flipped by chance: each ends ready or refused or failed in words, and the farm goes on."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from tests.support import corpus
from tests.support import farm as farms

#: `make chaos` asks for more rounds than one; then all seeds are tried.
IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
SEEDS = 200 if IS_LONG else 10


async def test_flipped_bits_end_in_a_title_or_in_words(tmp_path: Path, redis_url: str) -> None:
    async with farms.farm(tmp_path, redis_url) as farm:
        ends = Counter(
            [await corpus.through(farm, corpus.flipped(("mp4", "mkv")[seed % 2], seed)) for seed in range(SEEDS)]
        )
        print(ends)
        assert set(ends) <= {"refused", "failed", "ready"}
        assert len(ends) > 1
        assert await corpus.through(farm, corpus.small("mp4")) == "ready"
