"""The part of a transaction that webhooks need, and who may touch an endpoint."""

from __future__ import annotations

from typing import Protocol

import msgspec

from gateway.control.accounts.model import AccountRows
from gateway.control.auth import Principal, require
from gateway.control.catalogue.model import Titles
from gateway.control.checkout.model import Purchases
from gateway.control.mail.model import MailRows
from gateway.control.outbox import Outbox
from gateway.control.sellers.model import SellerRows
from gateway.control.webhooks.model import Endpoint, WebhookRows
from shared.errors import NotFound


class Stores(Protocol):
    """One transaction."""

    @property
    def webhooks(self) -> WebhookRows: ...
    @property
    def sellers(self) -> SellerRows: ...
    @property
    def accounts(self) -> AccountRows: ...
    @property
    def catalogue(self) -> Titles: ...
    @property
    def purchases(self) -> Purchases: ...
    @property
    def mail(self) -> MailRows: ...
    @property
    def outbox(self) -> Outbox: ...


class Owned(msgspec.Struct, frozen=True):
    """Something of a seller."""

    seller: str


def may(by: Principal, seller: str | None) -> None:
    """Whether somebody keeps the endpoints of a seller, or of the platform. Raises Forbidden."""
    if seller is None:
        require(by, "webhook:write")
    else:
        require(by, "seller:write", Owned(seller))


async def held(id: str, *, by: Principal, unit: Stores, lock: bool = False) -> Endpoint:
    """An endpoint that somebody may touch. Raises NotFound, Forbidden."""
    endpoint = await unit.webhooks.find(id, lock=lock)
    if endpoint is None:
        raise NotFound("There is no such endpoint.")
    may(by, endpoint.seller)
    return endpoint
