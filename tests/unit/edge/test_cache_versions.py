"""Versions: what a key belongs to, and asking for ready.json no more than is needed."""

from __future__ import annotations

import asyncio

import pytest

from gateway.edge.versions import ASK_AGAIN_S, Version, Versions, may_change, version_of
from shared.errors import StoreUnavailable

VERSION = Version("t", "ver")


class Shelf:
    """A store that counts how often it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.is_ready = self.is_down = False
        self.now = 0.0

    async def has(self, key: str) -> bool:
        self.asked.append(key)
        await asyncio.sleep(0)
        if self.is_down:
            raise StoreUnavailable
        return self.is_ready


def versions(shelf: Shelf) -> Versions:
    return Versions(shelf, tick=lambda: shelf.now)


@pytest.mark.parametrize(
    ("key", "version", "changes"),
    [
        ("v/t/ver/720/index.m3u8", VERSION, True),
        ("v/t/ver/720/0/0.m4s", VERSION, False),
        ("v/t/ver/poster.jpg", VERSION, False),
        ("v/t/e/ed/720.m3u8", None, False),
        ("v/t/e/ed/index.m3u8", None, False),
        ("v/t/ver", None, False),
        ("w/t/ver/index.m3u8", None, False),
    ],
)
def test_a_key_belongs_to_its_version(key: str, version: Version | None, changes: bool) -> None:
    assert (version_of(key), may_change(key)) == (version, changes)


async def test_many_who_ask_cause_one_question_a_second() -> None:
    shelf = Shelf()
    asked = versions(shelf)
    for _ in range(3):
        assert not any(await asyncio.gather(*(asked.is_ready(VERSION) for _ in range(100))))
    assert shelf.asked == ["v/t/ver/ready.json"]
    shelf.now += ASK_AGAIN_S
    shelf.is_ready = True
    assert all(await asyncio.gather(*(asked.is_ready(VERSION) for _ in range(100))))
    assert len(shelf.asked) == 2


async def test_a_ready_version_is_never_asked_about_again() -> None:
    shelf = Shelf()
    shelf.is_ready = True
    asked = versions(shelf)
    assert not asked.known(VERSION)
    assert await asked.is_ready(VERSION)
    shelf.is_ready, shelf.now = False, 1e6
    assert asked.known(VERSION) and await asked.is_ready(VERSION)
    assert len(shelf.asked) == 1


async def test_a_store_that_is_down_makes_no_version_ready() -> None:
    shelf = Shelf()
    shelf.is_down = True
    assert not await versions(shelf).is_ready(VERSION)


async def test_what_is_in_no_version_is_never_ready() -> None:
    shelf = Shelf()
    assert not await versions(shelf).is_ready(None)
    assert shelf.asked == []
