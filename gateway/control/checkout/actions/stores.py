"""What buying needs of one transaction, and what stays the same between them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

from gateway.control.accounts.model import AccountRows
from gateway.control.catalogue.model import Titles
from gateway.control.checkout.model import Purchases
from gateway.control.coupons.model import CouponRows
from gateway.control.db import Begin
from gateway.control.entitlements.model import Entitlements
from gateway.control.ledger.model import Ledger
from gateway.control.offers.model import OfferRows
from gateway.control.outbox import Outbox
from gateway.control.payees.model import PayeeRows
from gateway.control.payments.model import ProviderRows
from gateway.control.payments.providers.open import Providers
from gateway.control.portal.model import PortalRows
from gateway.control.referrals.model import ReferralRows
from gateway.control.wallet.model import Wallets
from shared.clock import Clock


class Stores(Protocol):
    """One transaction."""

    @property
    def purchases(self) -> Purchases: ...
    @property
    def wallet(self) -> Wallets: ...
    @property
    def ledger(self) -> Ledger: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def catalogue(self) -> Titles: ...
    @property
    def accounts(self) -> AccountRows: ...
    @property
    def offers(self) -> OfferRows: ...
    @property
    def coupons(self) -> CouponRows: ...
    @property
    def entitlements(self) -> Entitlements: ...
    @property
    def portal(self) -> PortalRows: ...
    @property
    def providers(self) -> ProviderRows: ...
    @property
    def payees(self) -> PayeeRows: ...
    @property
    def referrals(self) -> ReferralRows: ...


@dataclass(frozen=True, slots=True)
class Shop:
    """What the actions of buying share. `origin`: of our pages; `settles_after`: how long earnings are pending.

    `referral_bp`: basis points of the platform's fee for whose code brought the buyer.
    """

    begin: Begin[Stores]
    providers: Providers
    clock: Clock
    origin: str
    legal_entity: str
    settles_after: timedelta
    referral_bp: int
