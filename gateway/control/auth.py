"""Who acts and what they may do: `Principal`, the port that finds one, and `can`, the only authorisation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import msgspec
from starlette.requests import HTTPConnection

from shared.errors import Forbidden, Unauthenticated

SESSION_COOKIE = "usher_session"
GLOBAL = "global"
#: The roles of which one must be left: of the platform, and of a seller.
ADMIN, OWNER = "admin", "owner"

#: What each role may do. `title:*` means every verb on titles.
ROLES: Mapping[str, frozenset[str]] = {
    "admin": frozenset({"*"}),
    "moderator": frozenset(
        {"title:read", "title:watch", "title:takedown", "job:read", "account:read", "account:disable"}
    )
    | {"playback:revoke"},
    "support": frozenset({"title:read", "job:read", "account:read", "entitlement:read", "offer:read", "payment:read"}),
    "auditor": frozenset({"title:read", "job:read", "account:read", "entitlement:read", "offer:read", "payment:read"})
    | {"audit:read", "flag:read", "ledger:read", "recon:read"},
    "owner": frozenset({"seller:*", "title:*", "job:*", "entitlement:*", "offer:*", "earnings:*"}) | {"payout:write"},
    "editor": frozenset(
        {"seller:read", "title:read", "title:watch", "title:write", "title:upload", "title:publish", "title:report"}
    )
    | {"job:*", "offer:*"},
    "uploader": frozenset({"seller:read", "title:read", "title:watch", "title:upload", "job:read"}),
}
#: Verbs a seller's role never gives, whatever its pattern says: they are the platform's.
PLATFORM_ONLY = frozenset({"title:takedown"})


class Assignment(msgspec.Struct, frozen=True):
    """A role held within a scope: `global`, `partner:<seller>` or `territory:<code>`."""

    role: str
    scope: str = GLOBAL


class Principal(msgspec.Struct, frozen=True):
    """Who acts. `sub` is the pseudonym that may leave control; `login` and `device` name the session, if any.

    `place` is the network prefix that the request came from, for the record; empty for what nobody asked for.
    """

    id: str
    kind: Literal["guest", "registered", "wallet", "service"]
    sub: str
    assignments: tuple[Assignment, ...] = ()
    login: str = ""
    device: str = ""
    place: str = ""


class Owned(Protocol):
    """Anything that belongs to a seller."""

    @property
    def seller(self) -> str: ...


class PrincipalFinder(Protocol):
    """Finds who a signed session belongs to; accounts provides it."""

    async def find(self, signed: str) -> Principal | None:
        """The principal of a session cookie or bearer value; None when it is forged, ended or expired."""
        ...


class Credential(msgspec.Struct, frozen=True):
    """A session as it came: by cookie (a browser sends it unasked) or as Bearer."""

    signed: str
    by_cookie: bool


def can(principal: Principal | None, permission: str, obj: Owned | None = None) -> bool:
    """Whether `principal` may do `permission` (`noun:verb`), to `obj` where it concerns one thing."""
    if principal is None:
        return False
    partner = f"partner:{obj.seller}" if obj is not None else None
    return any(
        _gives(held.role, permission, platform=held.scope == GLOBAL)
        for held in principal.assignments
        if held.scope == GLOBAL or held.scope == partner
    )


def require(principal: Principal | None, permission: str, obj: Owned | None = None) -> Principal:
    """`can`, or Unauthenticated for nobody and guests, or Forbidden."""
    if principal is None or (principal.kind == "guest" and not can(principal, permission, obj)):
        raise Unauthenticated("Log in first.")
    if not can(principal, permission, obj):
        raise Forbidden("This account may not do that.", permission=permission)
    return principal


def permissions(principal: Principal) -> list[str]:
    """What the principal may do everywhere, for pages to show or hide things."""
    return sorted({p for held in principal.assignments if held.scope == GLOBAL for p in ROLES.get(held.role, ())})


def permissions_of(role: str) -> list[str]:
    """What a role gives where it is held, but for what is PLATFORM_ONLY."""
    return sorted(ROLES.get(role, ()))


def credential(connection: HTTPConnection[Any]) -> Credential | None:
    """The session a request carries: Authorization: Bearer first, then the cookie."""
    scheme, _, value = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value:
        return Credential(value.strip(), by_cookie=False)
    cookie = connection.cookies.get(SESSION_COOKIE)
    return Credential(cookie, by_cookie=True) if cookie else None


def same_origin(connection: HTTPConnection[Any], public_origin: str) -> bool:
    """Whether a write was sent by our own pages: Origin, or Sec-Fetch-Site where a browser leaves Origin out."""
    origin = connection.headers.get("origin")
    if origin is not None:
        return origin in (public_origin.rstrip("/"), f"{connection.url.scheme}://{connection.headers.get('host', '')}")
    return connection.headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _gives(role: str, permission: str, *, platform: bool) -> bool:
    if permission in PLATFORM_ONLY and not platform:
        return False
    held = ROLES.get(role, frozenset())
    return "*" in held or permission in held or permission.split(":")[0] + ":*" in held
