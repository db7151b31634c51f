"""A seller's account at a provider as a value, what is asked and answered, and the rows the actions need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

Country = Annotated[str, Meta(pattern=r"^[A-Z]{2}$(?!\n)")]


class Payee(msgspec.Struct, frozen=True, kw_only=True):
    """A seller's account. `missing`: what the provider still asks, in its own words."""

    seller: str
    provider: str
    account: str
    can_charge: bool = False
    can_be_paid: bool = False
    missing: Sequence[str] = ()


class Payees(msgspec.Struct, frozen=True):
    """All accounts of a seller, and the providers at which they may have one."""

    items: Sequence[Payee]
    providers: Sequence[str]


class Opening(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the seller is at home (ISO 3166-1); it cannot be changed later."""

    country: Country


class Link(msgspec.Struct, frozen=True):
    """The provider's page on which the seller says who they are; for one use, within minutes."""

    url: str


class PayeeRows(Protocol):
    """What the actions ask of the rows."""

    async def add(self, payee: Payee) -> None: ...
    async def of_seller(self, seller: str) -> list[Payee]: ...
    async def lock(self, provider: str, account: str) -> Payee | None: ...
    async def write(self, payee: Payee, now: datetime) -> None: ...
