"""Cases of a bench: each measures by itself, and one that breaks leaves a void row behind."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from benchmarks.report import Row


class Stage(Protocol):
    """What a case is given, whatever else it holds."""

    def say(self, words: str) -> None: ...


AnyStage = TypeVar("AnyStage", bound=Stage)


async def one(name: str, case: Callable[[AnyStage], Awaitable[list[Row]]], stage: AnyStage) -> list[Row]:
    """The rows of one case, or the void row of one that broke; what it broke by is said."""
    try:
        return await case(stage)
    except asyncio.CancelledError:
        raise
    except Exception:
        stage.say(traceback.format_exc())
        return [Row(case=f"{name}: broke", ours=None, theirs=None, unit="", value=None)]


def percentile_ms(each_s: Sequence[float], share: int) -> float:
    """So many percent of `each_s` are not longer than this, in milliseconds."""
    return 1000 * sorted(each_s)[min(len(each_s) - 1, len(each_s) * share // 100)]
