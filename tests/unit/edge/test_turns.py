"""Turns of the event loop: one caller each, senders in turn, lanes in turn, and no place that is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from gateway.edge.refusals import Refusal
from gateway.edge.turns import Turns
from tests.support.edge import DEADLINE_S


class Line:
    """Callers of one Turns, and in which order they had their turns."""

    def __init__(self, first: int = 100, second: int = 100, *, at_once: int = 1) -> None:
        self.turns, self.had = Turns(first, second, at_once=at_once), list[str]()
        self.at_once = at_once
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, sender: str, count: int = 1, *, is_second: bool = False) -> None:
        self.tasks += [asyncio.create_task(self._wait(sender, is_second)) for _ in range(count)]

    async def _wait(self, sender: str, is_second: bool) -> None:
        await self.turns.mine(sender, is_second=is_second)
        self.had.append(sender)

    async def all_had(self) -> str:
        """Let all have their turns, one a turn of the loop; who had them."""
        async with asyncio.timeout(DEADLINE_S):
            while not all(task.done() for task in self.tasks):
                had = len(self.had)
                await asyncio.sleep(0)
                assert len(self.had) - had <= self.at_once
        return "".join(self.had)


def codes(tasks: Iterable[asyncio.Task[None]]) -> list[str]:
    errors = (task.exception() for task in tasks if not task.cancelled())
    return [error.code for error in errors if isinstance(error, Refusal)]


async def test_each_turn_of_the_loop_is_one_callers() -> None:
    line = Line()
    line.come("a", 50)
    assert await line.all_had() == "a" * 50
    # Nobody waits any more: whoever comes now does not either.
    line.come("b")
    assert (await line.all_had())[50:] == "b"


async def test_a_turn_may_be_a_few_callers() -> None:
    line = Line(at_once=3)
    line.come("a", 20)
    await asyncio.sleep(0)
    assert line.had == ["a"] * 3
    line.come("b", 2)
    assert await line.all_had() == "a" * 7 + "bab" + "a" * 12
    line.come("c", 4)
    await asyncio.sleep(0)
    assert line.had[22:] == ["c"] * 3
    assert (await line.all_had())[22:] == "c" * 4


async def test_who_comes_alone_does_not_wait() -> None:
    turns = Turns(1, 1)
    for _ in range(5):
        waiting = turns.mine("a", is_second=False)
        with pytest.raises(StopIteration):
            waiting.send(None)
        await asyncio.sleep(0)


async def test_senders_take_turns_however_many_places_one_has() -> None:
    line = Line()
    line.come("a", 5)
    line.come("b")
    line.come("c", 2)
    assert await line.all_had() == "aabcacaa"


async def test_lanes_take_turns() -> None:
    line = Line()
    line.come("a")
    line.come("x", 3, is_second=True)
    line.come("a", 5)
    assert await line.all_had() == "aaxaxaxaa"


async def test_a_lane_that_is_full_refuses_and_the_other_does_not() -> None:
    line = Line(first=2, second=1)
    line.come("a", 5)
    line.come("x", 2, is_second=True)
    with pytest.raises(Refusal):
        await asyncio.gather(*line.tasks)
    await line.all_had()
    assert codes(line.tasks) == ["too-many"] * 3
    assert sorted(line.had) == ["a", "a", "a", "x"]
    # The places are free again.
    line.tasks.clear()
    line.come("a", 3)
    await line.all_had()
    assert codes(line.tasks) == []


async def test_places_of_a_sender_are_sent_to_the_other_lane_even_where_it_is_full() -> None:
    line = Line(first=4, second=2)
    line.come("a", 4)
    line.come("x", 2, is_second=True)
    await asyncio.sleep(0)
    line.turns.to_second("a")
    line.turns.to_second("nobody")
    line.come("b", 4)
    # One had its turn before; the others wait behind x, in turns with it, and leave room for all of b.
    assert await line.all_had() == "a" + "x" + "ab" + "xb" + "ab" + "ab"
    assert codes(line.tasks) == []


async def test_who_left_the_line_takes_no_turn() -> None:
    line = Line()
    line.come("a", 4)
    await asyncio.sleep(0)
    line.tasks[1].cancel()
    line.tasks[2].cancel()
    assert await line.all_had() == "aa"
