"""A shop whose actions are asked for directly, each request under its key, on a database whose connections may end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from msgspec.structs import replace

from gateway.control.auth import Assignment, Principal
from gateway.control.checkout import actions as checkout
from gateway.control.checkout.actions import Shop
from gateway.control.idempotency import actions as idempotency
from gateway.control.idempotency.model import IN_FLIGHT_S, Answer, Attempt, hash_of
from gateway.control.payments import actions as payments
from gateway.control.payments.providers.base import parse_rails
from gateway.control.payments.providers.open import Providers
from gateway.control.payments.providers.sandbox import Sandbox
from gateway.control.reconciliation import actions as reconciliation
from gateway.control.reconciliation.model import Findings
from gateway.control.sandbox import actions as sandbox
from gateway.control.sandbox import model as bank
from gateway.control.wiring import Unit
from shared.clock import ManualClock
from shared.errors import InFlight, Unavailable, UsherError
from shared.ids import new_id
from shared.secrets import FolderSecrets
from tests.support.books_facts import Coupon, Film
from tests.support.books_model import AUTO, HELD_FOR, MINIMUM, REFERRAL_BP, SETTLES_AFTER
from tests.support.knife import CutDatabase

PEOPLE, SELLERS = "abc", "stu"
ADMIN = Principal("usr_admin", "registered", "sub_admin", (Assignment("admin"),))
START = datetime(2026, 11, 1, tzinfo=UTC)
#: As often as an act is asked for again before that is taken for a fault.
TRIES = 6
POLICY = "insert into payout_policy values ('bank', 'USD', $1, $2, $3, now())"
STAFF = "insert into principal (id, kind, sub) values ($1, 'registered', $2)"
#: Three people and three sellers of one company, $1.
FILL = (
    "insert into principal (id, kind, sub) select 'usr_' || $1::text || n, 'registered', 'sub_' || $1::text || n"
    " from unnest(array['a', 'b', 'c']) n",
    "insert into account (principal, email, email_folded, username, username_folded, password_hash)"
    " select 'usr_' || n, n || '@e', n || '@e', 'u' || n, 'u' || n, ''"
    " from unnest(array['a', 'b', 'c']) l, lateral (select $1::text || l) one (n)",
    "insert into seller (id, name, handle, handle_folded) select 'slr_' || n, n, 's' || n, 's' || n"
    " from unnest(array['s', 't', 'u']) l, lateral (select $1::text || l) one (n)",
    "insert into referral (principal, code, created_at)"
    " select 'usr_' || $1::text || l, translate($1::text, '01', 'ol') || l, now() from unnest(array['a', 'b', 'c']) l",
)
TITLE = """
insert into title (id, seller, kind, short_id, short_folded, slug, name, state, price_minor, version, edition)
values ($1, $2, 'video', $3, $3, $3, $3, 'published', $4, 'v', 'e')
"""
OFFER = """
insert into offer (id, scope, seller, kind, amount, currency, created_at) values ($1, $2, $3, 'own', $4, 'USD', now())
"""
PARTNERS = "insert into title_partner (title, seller, share_bp) values ($1, $2, $3)"
COUPON = """
insert into coupon (id, seller, code, code_folded, kind, bp, amount, currency, uses_max, created_at)
values ($1, $2, $3, $3, $4, $5, $6, $7, $8, now())
"""
#: What was booked since a posting, by account: as it is kept, and as the postings say.
BOOKED = """
select a.code, a.asset, a.cached, a.balance, a.held, sum(p.amount) as booked
from posting p join ledger_account a on a.id = p.account where p.id > $1 group by a.id
"""
RIGHTS = "select principal, scope from entitlement where principal = any($1) and revoked_at is null"
SALES = "select id, state, refunded, disputed from purchase where principal = any($1)"
Act = Callable[[Callable[[], Awaitable[Unit]]], Awaitable[dict[str, Any]]]


class Request(msgspec.Struct, frozen=True):
    """Something that is asked for under a key. `act` is given what opens the transaction of its effect."""

    by: Principal
    route: str
    key: str
    body: Any
    act: Act


class Town(msgspec.Struct):
    """A company of its own in everybody's database: ids by letter, and the posting after which it began."""

    name: str
    films: dict[str, Film]
    coupons: dict[str, Coupon]
    since: int = 0

    def person(self, letter: str) -> Principal:
        """Somebody with a wallet."""
        return Principal(f"usr_{self.name}{letter}", "registered", f"sub_{self.name}{letter}")

    def owner(self, letter: str) -> Principal:
        """Whose seller that is; none of the three who buy."""
        return replace(ADMIN, assignments=(Assignment("owner", f"partner:{self.seller(letter)}"),))

    def seller(self, letter: str) -> str:
        """The id of a seller."""
        return f"slr_{self.name}{letter}"

    def code(self, letter: str) -> str:
        """By which code somebody brings buyers."""
        return self.name.translate(str.maketrans("01", "ol")) + letter


class Books:
    """Asks for things until they are done, whatever becomes of connections meanwhile."""

    def __init__(self, database: CutDatabase, secrets: FolderSecrets) -> None:
        self.database, self.begin, self.clock = database, database.begin, ManualClock(START)
        self.bank = Sandbox(self.begin, secrets, clock=self.clock, origin="https://usher.example")
        self.shop = Shop(
            begin=self.begin,
            providers=Providers(parse_rails("sandbox", legal_entity="usher", descriptor=""), {"sandbox": self.bank}),
            clock=self.clock,
            origin="https://usher.example",
            legal_entity="usher",
            settles_after=SETTLES_AFTER,
            referral_bp=REFERRAL_BP,
        )

    async def open(self) -> None:
        """What all companies share: who decides, and the terms of payouts."""
        for query, values in ((STAFF, (ADMIN.id, ADMIN.sub)), (POLICY, (MINIMUM, HELD_FOR.days, AUTO))):
            await self.database.knife.other.execute(query, *values)

    async def town(self, number: int, prices: Mapping[str, int], partners: Mapping[str, int]) -> Town:
        """A new company: the titles x and y of the seller s, of which y has partners, and z of t; their coupons."""
        name = f"{number:08d}"
        town = Town(name, {}, {})
        for letter, price in prices.items():
            has = {town.seller(one): bp for one, bp in partners.items()} if letter == "y" else {}
            id = f"ttl_{number:031x}{'xyz'.index(letter)}"
            owner = town.seller("t" if letter == "z" else "s")
            town.films[letter] = Film(id, f"off_{name}{letter}", owner, price, has)
        seller = town.seller("s")
        town.coupons = {"THIRD": Coupon(seller, bp=3333), "ALL": Coupon(seller, bp=10_000, uses=1)}
        town.coupons["LESS"] = Coupon(seller, amount=70)
        async with self.database.knife.other.transaction():
            await self._fill(town)
        return town

    async def _fill(self, town: Town) -> None:
        run = self.database.knife.other.execute
        for query in FILL:
            await run(query, town.name)
        for letter, film in town.films.items():
            await run(TITLE, film.id, film.seller, f"{town.name}{letter}", film.price)
            await run(OFFER, film.offer, film.id, film.seller, film.price)
            for partner, bp in film.partners.items():
                await run(PARTNERS, film.id, partner, bp)
        for code, one in town.coupons.items():
            terms = ("percent", one.bp, None, None) if one.bp else ("amount", None, one.amount, "USD")
            await run(COUPON, f"cpn_{town.name}{code}", one.seller, code, *terms, one.uses)
        town.since = await self.value("select coalesce(max(id), 0) from posting")

    async def ask(self, request: Request, cut: int | None = None) -> dict[str, Any] | str:
        """One request as its route handles it, again until it is answered; its answer, or the code of its refusal."""

        async def once() -> dict[str, Any]:
            attempt = Attempt(
                principal=request.by.id,
                key=request.key,
                route=request.route,
                hash=hash_of(request.route, "", request.body),
                attempt=new_id("att"),
            )
            kept = await idempotency.start(attempt, begin=self.begin, clock=self.clock)
            if kept is None:
                async with idempotency.effect(attempt, begin=self.begin) as effect:
                    kept = Answer(201, "application/json", msgspec.json.encode(await request.act(effect.unit)))
                    await effect.keep(kept)
            return dict(msgspec.json.decode(kept.body))

        try:
            answer: dict[str, Any] = await self.insist(once, cut)
            return answer
        except UsherError as error:
            return error.code

    async def insist(self, act: Callable[[], Awaitable[Any]], cut: int | None = None) -> Any:
        """Do something, and again where a connection ended on the way; a key that is left in flight is waited for."""
        self.database.knife.set(cut)
        try:
            for _ in range(TRIES):
                try:
                    return await act()
                except InFlight:
                    self.clock.advance(IN_FLIGHT_S + 1)
                except Unavailable:
                    await asyncio.sleep(0)
        finally:
            self.database.knife.set(None)
        raise AssertionError("asked for too often")

    async def at_bank(self, purchase: str, how: Callable[[bank.Payment], bank.Payment]) -> None:
        """A payer, or their bank, changes a payment at the sandbox, and that is heard of."""
        async with self.begin() as unit:
            payment = await unit.sandbox.of_order(purchase)
            assert payment is not None
            await sandbox.change(payment.ref, how, sandbox=unit.sandbox, clock=self.clock)
        async with self.begin() as unit:
            settle = [checkout.booking(self.shop)]
            await payments.look(payment.ref, provider=self.bank, unit=unit, clock=self.clock, settle=settle)

    async def turn(self) -> None:
        """All that the worker does with money, until nothing is due."""
        while await checkout.settle(shop=self.shop):
            pass
        while await checkout.ask_refunds(shop=self.shop):
            pass

    async def booked(self, town: Town) -> list[Mapping[str, Any]]:
        """Every account that was posted to since the company began, as it is kept and as its postings say."""
        return [dict(row) for row in await self.database.knife.other.fetch(BOOKED, town.since)]

    async def rights(self, town: Town) -> set[tuple[str, str]]:
        """Who has a right to what."""
        return {(row[0], row[1]) for row in await self._of_people(RIGHTS, town)}

    async def sales(self, town: Town) -> dict[str, tuple[str, int, int]]:
        """Purchases by id: their states, and what was given back and is disputed of each."""
        return {row[0]: (row[1], row[2], row[3]) for row in await self._of_people(SALES, town)}

    async def reconciled(self) -> Findings:
        """What the bank lists, beside what is booked."""
        providers, until = self.shop.providers, self.clock.now()
        return await reconciliation.reconcile(START, until, providers=providers, begin=self.begin, clock=self.clock)

    async def value(self, query: str) -> Any:
        """The one value that a query gives."""
        return await self.database.knife.other.fetchval(query)

    async def _of_people(self, query: str, town: Town) -> list[asyncpg.Record]:
        return list(await self.database.knife.other.fetch(query, [town.person(letter).id for letter in PEOPLE]))
