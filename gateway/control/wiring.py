"""What a control process is made of: built once in the lifespan, handed to handlers as `request.state`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import TypedDict

import asyncpg
from redis.asyncio import Redis

from gateway.control.accounts.adapters.attempts import FailedLogins
from gateway.control.accounts.adapters.bots import open_bot_check
from gateway.control.accounts.adapters.passwords import Argon2
from gateway.control.accounts.finder import SessionFinder
from gateway.control.accounts.model import Attempts, BotCheck, Passwords
from gateway.control.accounts.sessions import Sessions
from gateway.control.accounts.store import AccountStore
from gateway.control.audit.store import AuditStore
from gateway.control.auth import PrincipalFinder
from gateway.control.catalogue.store import TitleStore
from gateway.control.checkout.actions import Shop
from gateway.control.checkout.store import PurchaseStore
from gateway.control.coupons.store import CouponStore
from gateway.control.db import Begin, Connection, Database, open_pool
from gateway.control.entitlements.model import Standings
from gateway.control.entitlements.standings import RedisStandings
from gateway.control.entitlements.store import EntitlementStore
from gateway.control.farms.store import FarmStore
from gateway.control.flags.store import FlagStore
from gateway.control.giftcards.store import GiftCardStore
from gateway.control.idempotency.store import IdempotencyStore
from gateway.control.jobs.leases import RedisLeases
from gateway.control.jobs.store import JobStore
from gateway.control.ledger.store import LedgerStore
from gateway.control.limits import Limits
from gateway.control.live import Streams
from gateway.control.mail.actions import Desk
from gateway.control.mail.adapters.open import open_desk
from gateway.control.mail.store import MailStore
from gateway.control.offers.store import OfferStore
from gateway.control.office.store import OfficeStore
from gateway.control.outbox import Outbox
from gateway.control.payees.store import PayeeStore
from gateway.control.payments.providers.open import Parts, Providers, open_providers
from gateway.control.payments.store import ProviderStore
from gateway.control.payouts.store import PayoutStore
from gateway.control.portal.reader import PortalReader
from gateway.control.portal.store import PortalStore
from gateway.control.reconciliation.store import ReconStore
from gateway.control.referrals.store import ReferralStore
from gateway.control.sandbox.store import SandboxStore
from gateway.control.screenings.actions import Signer
from gateway.control.screenings.model import Cdn, OwnEdge
from gateway.control.screenings.store import ScreeningStore
from gateway.control.sellers.store import SellerStore
from gateway.control.statements.store import StatementStore
from gateway.control.subtitles.store import SubtitleStore
from gateway.control.uploads.locks import PostgresLocks
from gateway.control.uploads.model import Locks
from gateway.control.uploads.store import UploadStore
from gateway.control.wallet.store import WalletStore
from gateway.control.watching.store import WatchStore
from gateway.control.watching.timelines import Timelines
from gateway.control.webhooks.store import WebhookStore
from shared.clock import Clock, SystemClock
from shared.flags import Flags
from shared.need import Needs
from shared.network import Networks, parse_networks
from shared.seats import Seats
from shared.secrets import FolderSecrets, Secrets
from shared.settings import ControlSettings
from shared.storage import Bucket, open_bucket


class Unit:
    """The stores of all features on one connection, within one transaction."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.accounts = AccountStore(connection)
        self.sellers = SellerStore(connection)
        self.portal = PortalStore(connection)
        self.catalogue = TitleStore(connection)
        self.uploads = UploadStore(connection)
        self.jobs = JobStore(connection)
        self.subtitles = SubtitleStore(connection)
        self.entitlements = EntitlementStore(connection)
        self.offers = OfferStore(connection)
        self.coupons = CouponStore(connection)
        self.gift_cards = GiftCardStore(connection)
        self.referrals = ReferralStore(connection)
        self.farms = FarmStore(connection)
        self.flags = FlagStore(connection)
        self.screenings = ScreeningStore(connection)
        self.watching = WatchStore(connection)
        self.ledger = LedgerStore(connection)
        self.purchases = PurchaseStore(connection)
        self.wallet = WalletStore(connection)
        self.statements = StatementStore(connection)
        self.payouts = PayoutStore(connection)
        self.recon = ReconStore(connection)
        self.idempotency = IdempotencyStore(connection)
        self.payees = PayeeStore(connection)
        self.providers = ProviderStore(connection)
        self.sandbox = SandboxStore(connection)
        self.office = OfficeStore(connection)
        self.audit = AuditStore(connection)
        self.webhooks = WebhookStore(connection)
        self.mail = MailStore(connection)
        self.outbox = Outbox(connection)

    def committed(self) -> None:
        """The transaction is committed."""
        self.outbox.committed()


class Wiring(TypedDict):
    """All that handlers and the worker's loops may use."""

    settings: ControlSettings
    pool: asyncpg.Pool
    begin: Begin[Unit]
    redis: Redis
    events: Redis
    bucket: Bucket
    secrets: Secrets
    clock: Clock
    limits: Limits
    streams: Streams
    finder: PrincipalFinder
    flags: Flags
    trusted_proxies: Networks
    sessions: Sessions
    passwords: Passwords
    attempts: Attempts
    bots: BotCheck
    mail_desk: Desk
    portal: PortalReader
    leases: RedisLeases
    needs: Needs
    upload_locks: Locks
    signer: Signer
    cdn: Cdn
    timelines: Timelines
    seats: Seats
    standings: Standings
    providers: Providers
    shop: Shop


@asynccontextmanager
async def wire(
    settings: ControlSettings, *, clock: Clock | None = None, passwords: Passwords | None = None
) -> AsyncIterator[Wiring]:
    """Open everything, yield it, close it in reverse order. Tests hand in a clock they move and a faster hash."""
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(await open_pool(settings.database_url, settings.database_pool))
        redis = await _redis(stack, settings.redis_url)
        events = await _redis(stack, settings.events)
        needs = Needs(events, lease_s=settings.lease_s)
        bucket = await _bucket(stack, settings)
        secrets = FolderSecrets(settings.secrets_dir)
        begin = Database(pool, Unit).begin
        upload_locks = PostgresLocks(settings.database_url)
        stack.push_async_callback(upload_locks.close)
        sessions = Sessions(secrets, clock, settings.session_token_ttl)
        providers = await open_providers(stack, Parts(settings, secrets, begin, clock))
        yield Wiring(
            settings=settings,
            pool=pool,
            begin=begin,
            redis=redis,
            events=events,
            bucket=bucket,
            secrets=secrets,
            clock=clock,
            limits=Limits(redis, scale=settings.limits_scale),
            streams=Streams(),
            finder=SessionFinder(begin, sessions),
            flags=Flags(redis, clock),
            trusted_proxies=parse_networks(settings.trusted_proxies),
            sessions=sessions,
            passwords=passwords or Argon2(),
            attempts=FailedLogins(redis),
            bots=open_bot_check(settings, redis=redis, secrets=secrets, clock=clock),
            mail_desk=open_desk(settings, secrets, begin, clock=clock, token_of=sessions.reset_token),
            portal=PortalReader(begin, clock),
            upload_locks=upload_locks,
            leases=RedisLeases(events, needs, lease_s=settings.lease_s),
            needs=needs,
            signer=Signer(secrets, clock),
            cdn=OwnEdge(settings.edge_origin),
            timelines=Timelines(begin, bucket),
            # Control takes no seats, so lease and policy are the edges' own; it only gives seats back.
            seats=Seats(redis, lease_s=0, policy="refuse"),
            standings=RedisStandings(events, begin),
            providers=providers,
            shop=_shop(settings, begin, clock=clock, providers=providers),
        )


async def _redis(stack: AsyncExitStack, url: str) -> Redis:
    client: Redis = Redis.from_url(url, socket_timeout=5, socket_connect_timeout=2, health_check_interval=15)
    stack.push_async_callback(client.aclose)
    return client


async def _bucket(stack: AsyncExitStack, settings: ControlSettings) -> Bucket:
    bucket = open_bucket(settings)
    stack.push_async_callback(bucket.close)
    await bucket.check()
    return bucket


def _shop(settings: ControlSettings, begin: Begin[Unit], *, clock: Clock, providers: Providers) -> Shop:
    return Shop(
        begin=begin,
        providers=providers,
        clock=clock,
        origin=settings.public_origin,
        legal_entity=settings.legal_entity,
        settles_after=timedelta(days=settings.earnings_hold_days),
        referral_bp=settings.referral_bp,
    )
