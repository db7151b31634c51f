"""Turns: a short line before work that costs, of which a few pieces are done at each turn of the event loop."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque

from gateway.edge.refusals import Refusal


class _Lane:
    """Who waits, by sender: senders take turns, however many places one of them has."""

    def __init__(self, size: int) -> None:
        self.size, self.waiting = size, 0
        self.by_sender: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def put(self, sender: str, one: asyncio.Future[None]) -> None:
        self.by_sender.setdefault(sender, deque()).append(one)
        self.waiting += 1

    def take(self) -> asyncio.Future[None] | None:
        """The next one, and its sender to the end; None: nobody waits."""
        if not self.by_sender:
            return None
        sender, own = self.by_sender.popitem(last=False)
        one = own.popleft()
        self.waiting -= 1
        if own:
            self.by_sender[sender] = own
        return one


class Turns:
    """Gives each turn of the loop to `at_once` callers, so that whoever does not wait here is held up by so many pieces
    at most.

    `first` and `second` are the places of two lanes, which take turns where both are waited in.
    """

    def __init__(self, first: int, second: int, *, at_once: int = 1) -> None:
        self._first, self._second = _Lane(first), _Lane(second)
        self._at_once, self._given, self._is_seconds = at_once, 0, False

    async def mine(self, sender: str, *, is_second: bool) -> None:
        """Wait for a turn; not at all where this one has room. Raises Refusal where the lane is full."""
        loop = asyncio.get_running_loop()
        if self._given < self._at_once:
            self._given += 1
            if self._given == 1:
                loop.call_soon(self._next)
            return
        lane = self._second if is_second else self._first
        if lane.waiting >= lane.size:
            raise Refusal("too-many", "Too many new links are looked at; try again in a moment.", retry_after_s=1)
        one = loop.create_future()
        lane.put(sender, one)
        await one

    def to_second(self, sender: str) -> None:
        """Send a sender's places to the end of the second lane, even where it is full."""
        own = self._first.by_sender.pop(sender, ())
        self._first.waiting -= len(own)
        for one in own:
            self._second.put(sender, one)

    def _next(self) -> None:
        """Runs once a turn while anybody waits, and once after."""
        self._given = 0
        while self._given < self._at_once and (one := self._choose()) is not None:
            if not one.done():
                one.set_result(None)
                self._given += 1
        if self._given:
            asyncio.get_running_loop().call_soon(self._next)

    def _choose(self) -> asyncio.Future[None] | None:
        lanes = (self._second, self._first) if self._is_seconds else (self._first, self._second)
        self._is_seconds = not self._is_seconds
        return lanes[0].take() or lanes[1].take()
