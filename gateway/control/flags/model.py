"""Flags as values: a switch, its meaning, and the port the actions need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from shared.flags import State


class Flag(msgspec.Struct, frozen=True):
    """A switch: off, or on for `percent` of all subjects."""

    name: str
    enabled: bool
    percent: int
    meaning: str


class AllFlags(msgspec.Struct, frozen=True):
    """Every switch there is."""

    items: Sequence[Flag]


class Switching(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a switch is to stand."""

    enabled: bool
    percent: Annotated[int, Meta(ge=0, le=100)] = 100


class FlagRows(Protocol):
    """What the actions ask of the flags' rows."""

    async def all(self) -> list[Flag]: ...
    async def lock(self, name: str) -> Flag | None: ...
    async def write(self, name: str, state: State) -> None: ...
