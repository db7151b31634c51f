"""SQL of principals, accounts, logins, password resets and roles."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import asyncpg

from gateway.control.accounts.model import RESETS_OPEN, Account, Browser, Device, Found, Session, fold
from gateway.control.auth import Assignment, Principal
from gateway.control.db import Connection
from shared.errors import Conflict

ADD_PRINCIPAL = """
insert into principal (id, kind, sub) values ($1, $2, $3)
"""
ADD_ACCOUNT = """
insert into account (principal, email, email_folded, username, username_folded, password_hash)
values ($1, $2, $3, $4, $5, $6)
"""
CHANGE_ACCOUNT = """
update account set email = $2, email_folded = $3, username = $4, username_folded = $5, password_hash = $6
where principal = $1
"""
RENEW = """
update account set password_hash = $2 where principal = $1 returning true
"""
ACCOUNT_OF = """
select principal, email, username, password_hash from account where principal = $1
"""
ACCOUNT_LOCKED = ACCOUNT_OF + "for update"
BY_EMAIL = """
select principal, email, username, password_hash from account where email_folded = $1
"""
BY_USERNAME = """
select principal, email, username, password_hash from account where username_folded = $1
"""
#: Keeps the password from changing until a login that it opened is written.
HOLD = """
select true from account where principal = $1 and password_hash = $2 for share
"""
IS_DISABLED = """
select disabled_at is not null or deleted_at is not null from principal where id = $1
"""
#: Held, so that who is given something does not leave before they have it.
KEEP = """
select disabled_at is not null from principal where id = $1 and deleted_at is null for share
"""
ADD_LOGIN = """
insert into login (id, public_id, principal, device, name, place, created_at, last_seen, expires_at)
values ($1, $2, $3, $4, $5, $6, $7, $7, $8)
"""
FIND = """
select p.id, p.kind, p.sub, l.public_id, l.device, l.last_seen,
       coalesce((select jsonb_agg(jsonb_build_array(a.role, a.scope) order by a.scope, a.role)
                 from assignment a where a.principal = p.id), '[]') as assignments
from login l join principal p on p.id = l.principal
where l.id = $1 and l.expires_at > $2 and p.deleted_at is null and p.disabled_at is null
"""
TOUCH = """
update login set last_seen = $2, expires_at = $3 where id = $1
"""
DEVICES = """
select public_id, name, place, last_seen, device from login where principal = $1 and expires_at > $2
order by last_seen desc
"""
END_LOGIN = """
delete from login where principal = $1 and public_id = $2 returning true
"""
END_BROWSER = """
delete from login where principal = $1 and device = $2
"""
END_LOGINS = """
delete from login where principal = $1 and public_id <> $2
"""
ADD_RESET = """
insert into password_reset (token_hash, principal, expires_at)
select $1, $2, $3
where (select count(*) from password_reset where principal = $2 and used_at is null and expires_at > $4) < $5
returning true
"""
RESET_OF = """
select principal from password_reset where token_hash = $1 and used_at is null and expires_at > $2
"""
USE_RESET = """
update password_reset set used_at = $2 where token_hash = $1 and used_at is null and expires_at > $2
returning principal
"""
END_RESETS = """
delete from password_reset where principal = $1 and used_at is null
"""
ASSIGN = """
insert into assignment (principal, role, scope) values ($1, $2, $3) on conflict do nothing returning true
"""
UNASSIGN = """
delete from assignment where principal = $1 and role = $2 and scope = $3 returning true
"""
#: Who is shut out holds nothing.
HOLDERS = """
select a.principal from assignment a join principal p on p.id = a.principal
where a.role = $1 and a.scope = $2 and p.disabled_at is null order by a.principal
"""
#: Of two who leave at once one sees that the other went.
LOCK_HOLDERS = HOLDERS + "for update of a"
DELETE_ACCOUNT = """
delete from account where principal = $1
"""
DELETE_ASSIGNMENTS = """
delete from assignment where principal = $1
"""
#: What was watched stays counted, of nobody.
KEEP_SUMS = """
insert into watched_by_nobody (title, day, watched_ms)
select title, day, watched_ms from watched_day where principal = $1 order by title, day
on conflict (title, day) do update set watched_ms = watched_by_nobody.watched_ms + excluded.watched_ms
"""
DELETE_DAYS = """
delete from watched_day where principal = $1
"""
DELETE_SEGMENTS = """
delete from watched_segments where principal = $1
"""
DELETE_WATCHING = """
delete from watching where principal = $1
"""
DELETE_SCREENINGS = """
delete from screening where principal = $1
"""
DELETE_REFERRAL = """
delete from referral where principal = $1
"""
FORGET_WATCHING = (KEEP_SUMS, DELETE_DAYS, DELETE_SEGMENTS, DELETE_WATCHING, DELETE_SCREENINGS)
LEAVE = """
update principal set deleted_at = $2 where id = $1
"""
#: Everything that hangs on a person, for the person.
PERSON = {
    "principal": "select id, kind, sub, created_at from principal where id = $1",
    "account": "select email, username, created_at from account where principal = $1",
    "devices": "select public_id as id, name, place, created_at, last_seen from login where principal = $1",
    "roles": "select role, scope, created_at from assignment where principal = $1 order by scope, role",
    "entitlements": """
        select scope, kind, term, created_at, first_play_at, ends_at, revoked_at from entitlement where principal = $1
        order by created_at
        """,
    "purchases": """
        select id, kind, title, amount, currency, rail, state, refunded, disputed, viewer, created_at, paid_at
        from purchase where principal = $1 order by created_at, id
        """,
    "payments": """
        select kind, amount, currency, rail, purchase, title, other, at from payment where principal = $1 order by id
        """,
    "wallet": """
        select asset as currency, balance, held from ledger_account
        where code = 'wallet:' || $1 and cached order by asset
        """,
    "coupons": """
        select c.code, c.seller, u.purchase, u.at from coupon_use u join coupon c on c.id = u.coupon
        where u.principal = $1 order by u.at
        """,
    "gift_cards": """
        select id, hint, amount, currency, created_at, redeemed_at from gift_card where bought_by = $1
        order by created_at
        """,
    "referral": "select code, created_at from referral where principal = $1",
    "blocked": "select seller, created_at from blocked_viewer where principal = $1 order by created_at",
    "uploads": """
        select id, title, filename, size_bytes, state, created_at, completed_at from upload
        where principal = $1 order by created_at
        """,
    "screenings": """
        select sid, title, device, created_at, ends_at from screening where principal = $1 order by created_at
        """,
    "watching": """
        select title, position_s, (watched_ms / 1000.0)::float8 as watched_s, first_at, seen_at from watching
        where principal = $1 order by seen_at desc
        """,
    "watched": """
        select day, title, (watched_ms / 1000.0)::float8 as watched_s from watched_day
        where principal = $1 order by day, title
        """,
    "watched_segments": """
        select title, version, encode(picture, 'hex') as picture, encode(sound, 'hex') as sound, updated_at
        from watched_segments where principal = $1
        """,
    "mail": "select kind, state, created_at, done_at from mail where principal = $1 order by created_at",
    "actions": "select at, action, object, place from audit where actor = $1 order by seq",
}
#: Of many accounts at once, so these wait for nobody: what somebody else ends just now is swept the next time.
SWEEP_LOGINS = """
delete from login where id in (select id from login where expires_at <= $1 for update skip locked)
"""
SWEEP_RESETS = """
delete from password_reset
where token_hash in (select token_hash from password_reset where expires_at <= $1 for update skip locked)
"""
TAKEN = {
    "account_email_folded_key": ("An account with this e-mail exists.", "email-taken"),
    "account_username_folded_key": ("This user name is taken.", "username-taken"),
}


class AccountStore:
    """Rows of principals, accounts, logins, resets and roles, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add_principal(self, principal: Principal) -> None:
        """A new principal without account, login or role."""
        await self._connection.execute(ADD_PRINCIPAL, principal.id, principal.kind, principal.sub)

    async def add_account(self, account: Account) -> None:
        """Its account. Raises Conflict for an e-mail or user name that is taken."""
        await self._write_account(ADD_ACCOUNT, account)

    async def change_account(self, account: Account) -> None:
        """Replace what can change. Raises Conflict for an e-mail or user name that is taken."""
        await self._write_account(CHANGE_ACCOUNT, account)

    async def set_password(self, principal: str, password_hash: str) -> bool:
        """Replace a password; False when the account is gone."""
        return bool(await self._connection.fetchval(RENEW, principal, password_hash))

    async def account_of(self, principal: str, *, lock: bool = False) -> Account | None:
        """The account of a principal; `lock` holds its row until the transaction ends."""
        return _account(await self._connection.fetchrow(ACCOUNT_LOCKED if lock else ACCOUNT_OF, principal))

    async def by_login(self, folded: str) -> Account | None:
        """The account with this e-mail or user name."""
        return _account(await self._connection.fetchrow(BY_EMAIL if "@" in folded else BY_USERNAME, folded))

    async def principal_named(self, folded: str) -> str | None:
        """The principal with this user name."""
        found = _account(await self._connection.fetchrow(BY_USERNAME, folded))
        return found.principal if found else None

    async def hold(self, principal: str, password_hash: str) -> bool:
        """Whether this is still the password; it stays so until the transaction ends."""
        return bool(await self._connection.fetchval(HOLD, principal, password_hash))

    async def is_disabled(self, principal: str) -> bool:
        """Whether somebody is shut out."""
        return bool(await self._connection.fetchval(IS_DISABLED, principal))

    async def add_login(
        self, session: Session, public_id: str, *, principal: str, browser: Browser, at: datetime, until: datetime
    ) -> None:
        """A login that begins."""
        await self._connection.execute(
            ADD_LOGIN, session.id, public_id, principal, browser.device, browser.name, browser.place, at, until
        )

    async def find(self, session: bytes, at: datetime) -> Found | None:
        """The principal of a session that runs, with its roles."""
        row = await self._connection.fetchrow(FIND, session, at)
        if row is None:
            return None
        roles = tuple(Assignment(role, scope) for role, scope in row["assignments"])
        principal = Principal(row["id"], row["kind"], row["sub"], roles, row["public_id"], row["device"])
        return Found(principal, row["last_seen"])

    async def touch(self, session: bytes, *, at: datetime, until: datetime) -> None:
        """A session was used."""
        await self._connection.execute(TOUCH, session, at, until)

    async def devices(self, principal: str, current: str, at: datetime) -> list[Device]:
        """Logins that run, the last seen first."""
        return [
            Device(
                row["public_id"],
                row["name"],
                row["place"],
                row["last_seen"],
                row["public_id"] == current,
                row["device"],
            )
            for row in await self._connection.fetch(DEVICES, principal, at)
        ]

    async def end_login(self, principal: str, public_id: str) -> bool:
        """End one login of a principal; whether there was one."""
        return bool(await self._connection.fetchval(END_LOGIN, principal, public_id))

    async def end_browser(self, principal: str, device: str) -> None:
        """End what a principal left open in one browser."""
        await self._connection.execute(END_BROWSER, principal, device)

    async def end_logins(self, principal: str, *, but: str = "") -> None:
        """End all logins of a principal, but one."""
        await self._connection.execute(END_LOGINS, principal, but)

    async def add_reset(self, token_hash: bytes, principal: str, *, at: datetime, until: datetime) -> bool:
        """A reset link; False when too many of this account are open."""
        return bool(await self._connection.fetchval(ADD_RESET, token_hash, principal, until, at, RESETS_OPEN))

    async def reset_of(self, token_hash: bytes, at: datetime) -> str | None:
        """Whose a reset link is; None when it is none, used or over."""
        found = await self._connection.fetchval(RESET_OF, token_hash, at)
        return str(found) if found else None

    async def use_reset(self, token_hash: bytes, at: datetime) -> str | None:
        """Use a reset link up, and end its principal's others; None when it is none, used or over."""
        row = await self._connection.fetchrow(USE_RESET, token_hash, at)
        if row is None:
            return None
        await self.end_resets(row["principal"])
        return str(row["principal"])

    async def end_resets(self, principal: str) -> None:
        """End the reset links of a principal that nobody used."""
        await self._connection.execute(END_RESETS, principal)

    async def assign(self, principal: str, role: str, scope: str) -> bool:
        """Give a role; False when it was held."""
        return bool(await self._connection.fetchval(ASSIGN, principal, role, scope))

    async def unassign(self, principal: str, role: str, scope: str) -> bool:
        """Take a role; False when it was not held."""
        return bool(await self._connection.fetchval(UNASSIGN, principal, role, scope))

    async def holders(self, role: str, scope: str, *, lock: bool = False) -> list[str]:
        """Who holds a role; `lock`: nobody else takes it or gives it back until the transaction ends."""
        query = LOCK_HOLDERS if lock else HOLDERS
        return [row["principal"] for row in await self._connection.fetch(query, role, scope)]

    async def person(self, principal: str) -> Mapping[str, Any]:
        """Everything stored about a person, by subject."""
        return {
            subject: [dict(row) for row in await self._connection.fetch(query, principal)]
            for subject, query in PERSON.items()
        }

    async def keep(self, principal: str) -> bool | None:
        """Whether somebody is shut out, None for who has left; it stays so until the transaction ends."""
        found = await self._connection.fetchval(KEEP, principal)
        return None if found is None else bool(found)

    async def leave(self, principal: str, at: datetime) -> None:
        """From here on nothing new is given to somebody, or stored about them."""
        await self._connection.execute(LEAVE, principal, at)

    async def anonymise(self, principal: str) -> None:
        """Drop all that tells who a principal that left was; the pseudonym stays, for what others hold of it."""
        await self.end_logins(principal)
        for query in (END_RESETS, DELETE_ASSIGNMENTS, DELETE_REFERRAL, DELETE_ACCOUNT, *FORGET_WATCHING):
            await self._connection.execute(query, principal)

    async def sweep(self, at: datetime) -> None:
        """Drop logins and reset links that are over."""
        await self._connection.execute(SWEEP_LOGINS, at)
        await self._connection.execute(SWEEP_RESETS, at)

    async def _write_account(self, query: str, account: Account) -> None:
        try:
            await self._connection.execute(
                query,
                account.principal,
                account.email,
                fold(account.email),
                account.username,
                fold(account.username),
                account.password_hash,
            )
        except asyncpg.UniqueViolationError as error:
            words, code = TAKEN[str(error.constraint_name)]
            raise Conflict(words, code=code) from error


def _account(row: asyncpg.Record | None) -> Account | None:
    return Account(row["principal"], row["email"], row["username"], row["password_hash"]) if row else None
