"""Accounts as values: requests and answers, names and how they fold, cookies, and the ports the actions need."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.auth import SESSION_COOKIE, Principal
from gateway.control.sellers.model import Alone, Membership
from shared.ids import new_session_id

DEVICE_COOKIE = "usher_device"
#: Browsers keep a cookie this long at most; when a session is over is told by its row, which slides.
COOKIE_MAX_AGE_S = 400 * 86400
RESET_TTL_S = 2 * 3600
#: Reset links of one account that may be open at once, so that nobody's mailbox is flooded.
RESETS_OPEN = 5

#: `$` alone would let one newline pass at the end.
Email = Annotated[str, Meta(pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+$(?!\n)", max_length=254)]
Username = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,30}[A-Za-z0-9]$(?!\n)")]
Password = Annotated[str, Meta(min_length=8, max_length=256)]
#: What is only compared, never stored.
Given = Annotated[str, Meta(max_length=512, pattern=r"^[^\x00]*$")]
_DEVICE = re.compile(r"[A-Za-z0-9_-]{16,64}\Z")
PlatformRole = Literal["admin", "moderator", "support", "auditor"]


class Request(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What all bodies of requests share: nothing they do not name is accepted."""


class Registering(Request, frozen=True):
    """A new account. `proof` answers the challenge, where the bot check asks for one."""

    email: Email
    username: Username
    password: Password
    proof: Annotated[str, Meta(max_length=4096)] = ""


class LoggingIn(Request, frozen=True):
    """`login` is an e-mail or a user name; `bearer` asks for a token instead of a cookie."""

    login: Given
    password: Given
    bearer: bool = False


class Forgetting(Request, frozen=True):
    """Asks for a reset link by mail."""

    email: Given


class Resetting(Request, frozen=True):
    """A new password, by the token of a reset link."""

    token: Given
    password: Password


class Changing(Request, frozen=True):
    """What to change of oneself; e-mail and password need the current password."""

    username: Username | UnsetType = UNSET
    email: Email | UnsetType = UNSET
    password: Password | UnsetType = UNSET
    current_password: Given = ""


class Leaving(Request, frozen=True):
    """Deletes one's account."""

    password: Given


class Me(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in. `permissions` are those held everywhere; `bearer_token` is there when it was asked for."""

    id: str
    username: str
    email: str
    sellers: Sequence[Membership]
    permissions: Sequence[str]
    bearer_token: str | UnsetType = UNSET


class Device(msgspec.Struct, frozen=True):
    """A logged-in device. `place` is a network prefix, never an address; `device` is what its screens are listed by."""

    id: str
    name: str
    place: str
    last_seen: datetime
    current: bool
    device: str = ""


class Devices(msgspec.Struct, frozen=True):
    """All devices of an account, the last seen first."""

    items: Sequence[Device]


class Challenge(msgspec.Struct, frozen=True, omit_defaults=True):
    """What register asks of a browser.

    `pow`: find a text n such that SHA-256 of `<challenge>.<n>` begins with `bits` zero bits; that text is the proof.
    `turnstile`: the proof is what Turnstile's widget gives for `site_key`.
    """

    kind: Literal["off", "pow", "turnstile"]
    challenge: str = ""
    bits: int = 0
    site_key: str = ""


class Account(msgspec.Struct, frozen=True):
    """A registered principal's account."""

    principal: str
    email: str
    username: str
    password_hash: str


class Found(msgspec.Struct, frozen=True):
    """A session that runs: whose, and when it was last written."""

    principal: Principal
    last_seen: datetime


class Browser(msgspec.Struct, frozen=True):
    """Where a request came from: the browser's own random id, what it calls itself, its network prefix."""

    device: str
    name: str
    place: str


class Session(msgspec.Struct, frozen=True):
    """A session as drawn: the signed text for the client, and the id of its row, which does not give it away."""

    signed: str
    id: bytes


class Opened(msgspec.Struct, frozen=True):
    """A login that began."""

    principal: Principal
    signed: str
    device: str


class Passwords(Protocol):
    """Hashes passwords slowly, off the event loop."""

    async def hash(self, password: str) -> str:
        """A salted hash. Raises Unavailable when too many wait."""
        ...

    async def verify(self, stored: str | None, password: str) -> bool:
        """Whether `password` made `stored`; takes as long when there is nothing stored."""
        ...


class BotCheck(Protocol):
    """Tells people from programs."""

    async def challenge(self) -> Challenge:
        """What a browser must answer."""
        ...

    async def check(self, proof: str, *, address: str) -> None:
        """Raises Invalid for a proof that is wrong, over or used."""
        ...


class Attempts(Protocol):
    """Counts failed logins."""

    async def begin(self, account: str, address: str) -> None:
        """Count an attempt as failed until `succeeded`. Raises TooMany."""
        ...

    async def succeeded(self, account: str, address: str) -> None:
        """Forget the failures."""
        ...


def fold(text: str) -> str:
    """The form on which e-mails and user names are unique."""
    return unicodedata.normalize("NFKC", text).strip().casefold()


SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("CrOS", "ChromeOS"),
    ("Linux", "Linux"),
)
#: In this order: each names itself in the signatures of those that stand before it.
BROWSERS = (
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("Chrome/", "Chrome"),
    ("CriOS/", "Chrome"),
    ("Safari/", "Safari"),
)


def device_name(user_agent: str) -> str:
    """What a person calls a device: `Firefox on Linux`; for programs the first word of their signature."""
    browser = next((name for sign, name in BROWSERS if sign in user_agent), "")
    system = next((name for sign, name in SYSTEMS if sign in user_agent), "")
    if browser:
        return f"{browser} on {system}" if system else browser
    words = "".join(c for c in user_agent if c.isprintable()).replace("/", " ").split()
    return words[0][:40] if words else "Unknown device"


def browser(device: str, user_agent: str, place: str) -> Browser:
    """Where a request came from; a browser without a well-formed id of its own gets one."""
    return Browser(device if _DEVICE.match(device) else new_session_id(), device_name(user_agent), place)


def session_cookies(opened: Opened, *, secure: bool) -> list[str]:
    """Values of the Set-Cookie headers with which a browser stays logged in and keeps its id."""
    return [
        _cookie(SESSION_COOKIE, opened.signed, COOKIE_MAX_AGE_S, secure=secure),
        _cookie(DEVICE_COOKIE, opened.device, COOKIE_MAX_AGE_S, secure=secure),
    ]


def ending_cookie(*, secure: bool) -> str:
    """Value of the Set-Cookie header that drops the session; the browser keeps its id."""
    return _cookie(SESSION_COOKIE, "", 0, secure=secure)


def _cookie(name: str, value: str, max_age_s: int, *, secure: bool) -> str:
    return f"{name}={value}; Max-Age={max_age_s}; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")


class AccountRows(Protocol):
    """What the actions ask of the accounts' rows; times are given, so a clock moved by hand moves all."""

    async def add_principal(self, principal: Principal) -> None: ...
    async def add_account(self, account: Account) -> None: ...
    async def account_of(self, principal: str, *, lock: bool = False) -> Account | None: ...
    async def by_login(self, folded: str) -> Account | None: ...
    async def principal_named(self, folded: str) -> str | None: ...
    async def hold(self, principal: str, password_hash: str) -> bool: ...
    async def is_disabled(self, principal: str) -> bool: ...
    async def change_account(self, account: Account) -> None: ...
    async def keep(self, principal: str) -> bool | None: ...
    async def leave(self, principal: str, at: datetime) -> None: ...
    async def anonymise(self, principal: str) -> None: ...
    async def add_login(
        self, session: Session, public_id: str, *, principal: str, browser: Browser, at: datetime, until: datetime
    ) -> None: ...
    async def find(self, session: bytes, at: datetime) -> Found | None: ...
    async def touch(self, session: bytes, *, at: datetime, until: datetime) -> None: ...
    async def devices(self, principal: str, current: str, at: datetime) -> list[Device]: ...
    async def end_login(self, principal: str, public_id: str) -> bool: ...
    async def end_browser(self, principal: str, device: str) -> None: ...
    async def end_logins(self, principal: str, *, but: str = "") -> None: ...
    async def set_password(self, principal: str, password_hash: str) -> bool: ...
    async def add_reset(self, token_hash: bytes, principal: str, *, at: datetime, until: datetime) -> bool: ...
    async def reset_of(self, token_hash: bytes, at: datetime) -> str | None: ...
    async def use_reset(self, token_hash: bytes, at: datetime) -> str | None: ...
    async def end_resets(self, principal: str) -> None: ...
    async def assign(self, principal: str, role: str, scope: str) -> bool: ...
    async def unassign(self, principal: str, role: str, scope: str) -> bool: ...
    async def holders(self, role: str, scope: str, *, lock: bool = False) -> list[str]: ...
    async def person(self, principal: str) -> Mapping[str, Any]: ...
    async def sweep(self, at: datetime) -> None: ...


class Memberships(Protocol):
    """What accounts ask of sellers."""

    async def memberships(self, principal: str) -> list[Membership]: ...
    async def alone_with(self, principal: str) -> list[Alone]: ...


class Stores(Protocol):
    """The part of a transaction that accounts need."""

    @property
    def accounts(self) -> AccountRows: ...
