"""What is done with sellers' accounts at providers: open one, lead the seller through it, follow what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec.structs import replace

from gateway.control.auth import Principal, require
from gateway.control.db import Begin
from gateway.control.outbox import Outbox
from gateway.control.payees.model import Link, Payee, PayeeRows, Payees
from gateway.control.payments.providers.base import Onboarding, Provider
from gateway.control.sellers import actions as sellers
from gateway.control.sellers.model import SellerRows
from shared.clock import Clock
from shared.errors import Conflict, NotFound


class Stores(Protocol):
    """One transaction."""

    @property
    def payees(self) -> PayeeRows: ...
    @property
    def sellers(self) -> SellerRows: ...
    @property
    def outbox(self) -> Outbox: ...


async def onboard(
    handle: str, country: str, *, by: Principal, provider: Provider, page: str, begin: Begin[Stores]
) -> Link:
    """The provider's page for a seller, whose account is opened when there is none; `page` is where it leads back.

    Asks the provider between two transactions: opening is idempotent there. Raises NotFound, Forbidden, Invalid,
    ProviderUnavailable, and Conflict for a provider without such accounts.
    """
    async with begin() as unit:
        seller = await sellers.read(handle, sellers=unit.sellers)
        require(by, "seller:write", seller)
        known = _at(provider.name, await unit.payees.of_seller(seller.id))
    if not isinstance(provider, Onboarding):
        raise Conflict("Sellers have no accounts of their own at this provider.", code="no-seller-accounts")
    if known is None:
        account = await provider.open_account(seller.id, country)
        opened = Payee(seller=seller.id, provider=provider.name, account=account)
        async with begin() as unit:
            await unit.payees.add(opened)
            # Of two that were opened at once, in two countries, one is kept.
            known = _at(provider.name, await unit.payees.of_seller(seller.id)) or opened
            said = {"provider": provider.name, "account": known.account}
            await unit.outbox.audit(by.id, "seller.payee", seller.id, after=said, place=by.place)
    return Link(await provider.onboarding_url(known.account, return_url=page, refresh_url=page))


async def read(handle: str, *, by: Principal, providers: Iterable[Provider], unit: Stores) -> Payees:
    """A seller's accounts, for its members. Raises NotFound, Forbidden."""
    seller = await sellers.read(handle, sellers=unit.sellers)
    require(by, "seller:read", seller)
    names = [provider.name for provider in providers if isinstance(provider, Onboarding)]
    return Payees(await unit.payees.of_seller(seller.id), names)


async def account_for(seller: str, provider: str, *, payees: PayeeRows) -> str:
    """The account to which a seller's part of a sale is paid; empty where there is none that may take money."""
    known = _at(provider, await payees.of_seller(seller))
    return known.account if known and known.can_charge else ""


async def payout_account(seller: str, provider: str, *, payees: PayeeRows) -> str:
    """The account into which a seller is paid out; empty where there is none that may be paid."""
    known = _at(provider, await payees.of_seller(seller))
    return known.account if known and known.can_be_paid else ""


async def follow(account: str, *, provider: Provider, payees: PayeeRows, outbox: Outbox, clock: Clock) -> None:
    """Ask for an account that changed, and tell when it may do more or less than before. Raises as `account`."""
    known = await payees.lock(provider.name, account)
    if known is None or not isinstance(provider, Onboarding):
        raise NotFound("No seller has this account.")
    found = await provider.account(account)
    after = replace(known, can_charge=found.can_charge, can_be_paid=found.can_be_paid, missing=tuple(found.missing))
    await payees.write(after, clock.now())
    if (known.can_charge, known.can_be_paid) != (after.can_charge, after.can_be_paid):
        may = {"can_charge": after.can_charge, "can_be_paid": after.can_be_paid}
        await outbox.emit("seller.payee", known.seller, seller=known.seller, provider=provider.name, **may)


def _at(provider: str, payees: list[Payee]) -> Payee | None:
    return next((payee for payee in payees if payee.provider == provider), None)
