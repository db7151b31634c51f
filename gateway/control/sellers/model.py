"""Sellers as values: requests and answers, the roles of their members, and the ports the actions need."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

#: `$` alone would let one newline pass at the end.
Handle = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*$(?!\n)", min_length=3, max_length=32)]
SellerName = Annotated[str, Meta(max_length=60, pattern=r"^[^\s\x00-\x1f](?:[^\x00-\x1f]*[^\s\x00-\x1f])?$(?!\n)")]
SellerRole = Literal["owner", "editor", "uploader"]


class Founding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A new seller; its handle stands in addresses."""

    name: SellerName
    handle: Handle


class Joining(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The role a member is to have; it replaces the one before."""

    role: SellerRole


class Seller(msgspec.Struct, frozen=True):
    """Who titles and balances belong to."""

    id: str
    name: str
    handle: str

    @property
    def seller(self) -> str:
        """A seller belongs to itself: what `can` compares."""
        return self.id


class Alone(Seller, frozen=True):
    """A seller with one owner left; `is_on_sale`: it has published titles.

    `is_partner`: it gets a share of others' titles; `is_disputed`: it may get again what a bank took back.
    """

    is_on_sale: bool
    is_partner: bool
    is_disputed: bool


class Membership(msgspec.Struct, frozen=True):
    """A seller as one of its members sees it; `permissions` are those held with what is the seller's."""

    id: str
    name: str
    handle: str
    role: str
    permissions: list[str]


class Member(msgspec.Struct, frozen=True):
    """A member as the seller's owners see it."""

    username: str
    role: str


class Members(msgspec.Struct, frozen=True):
    """All members of a seller, owners first."""

    items: Sequence[Member]


class SellerRows(Protocol):
    """What the actions ask of the sellers' rows."""

    async def add(self, seller: Seller) -> bool: ...
    async def by_handle(self, handle: str) -> Seller | None: ...
    async def handles(self, ids: Collection[str]) -> dict[str, str]: ...
    async def lock(self, seller: str) -> None: ...
    async def owned(self, ids: Collection[str]) -> set[str]: ...
    async def memberships(self, principal: str) -> list[Membership]: ...
    async def members(self, seller: str) -> list[Member]: ...
    async def roles_of(self, seller: str, principal: str) -> list[str]: ...
    async def alone_with(self, principal: str) -> list[Alone]: ...


def scope_of(seller: str) -> str:
    """The scope in which a seller's members hold their roles."""
    return f"partner:{seller}"
