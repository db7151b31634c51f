"""Completions of chunks that come shuffled, doubled and at once, beside the reaper: the last step begins once."""

from __future__ import annotations

from tests.support.completions import storm
from tests.support.control import Control


async def test_five_hundred_completions_in_any_order_begin_each_last_step_once(control: Control) -> None:
    ends = await storm(control, jobs=10, chunks=50)

    assert ends.wrong(10) == 0
    assert ends.begun == {f"v{number}": 1 for number in range(10)}
    assert set(ends.ready.values()) == {1} and len(ends.ready) == 10
    assert ends.editions == ["e1"]
