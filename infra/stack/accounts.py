"""The first accounts: an admin, a seller and a viewer, made through the API with passwords shown once."""

from __future__ import annotations

import asyncio
import hashlib
from itertools import count
from typing import Any

import msgspec

from infra.api import Api, Problem
from infra.stack.home import Credentials, Home, Session
from infra.stack.plan import Plan
from shared.errors import Misconfigured
from shared.ids import new_secret

#: The first is the admin.
ROLES = ("admin", "seller", "viewer")
PORTAL_NAME = "Usher"
SELLER = {"name": "Demo Studio", "handle": "demo"}


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody to log in as. The password is known at the first start alone; it is stored nowhere in clear."""

    username: str
    email: str
    password: str | None = None


async def make(plan: Plan, home: Home) -> dict[str, Account]:
    """The three accounts by role, made when the portal has nobody yet. Keeps their bearer sessions for the CLI."""
    return await asyncio.to_thread(_make, plan.origin, home)


def _make(origin: str, home: Home) -> dict[str, Account]:
    kept = home.read_credentials()
    if not Api(origin).get("portal")["needs_setup"]:
        if kept and kept.origin != origin:
            home.write_credentials(msgspec.structs.replace(kept, origin=origin))
        known = kept.sessions if kept else {}
        return {role: Account(username=s.username, email=_email(s.username)) for role, s in known.items()}
    made = {role: Account(username=role, email=_email(role), password=new_secret(9)) for role in ROLES}
    sessions = {role: _sign_up(origin, account, first=role == ROLES[0]) for role, account in made.items()}
    Api(origin, sessions["seller"].bearer).post("sellers", SELLER)
    home.write_credentials(Credentials(origin=origin, sessions=sessions))
    return made


def _sign_up(origin: str, account: Account, *, first: bool) -> Session:
    """Register (the first account by the set-up page's route, which makes it the admin) and log in."""
    about = {"username": account.username, "email": account.email, "password": account.password}
    api = Api(origin)
    try:
        if first:
            api.post("setup", about | {"portal_name": PORTAL_NAME})
        else:
            api.post("auth/register", about | proof(api.get("auth/challenge")))
    except Problem as problem:
        words = f"The account {account.username} could not be made: {problem}"
        raise Problem(words, status=problem.status, code=problem.code) from problem
    me = api.post("auth/login", {"login": account.username, "password": account.password, "bearer": True})
    return Session(username=account.username, bearer=me["bearer_token"])


def proof(challenge: dict[str, Any]) -> dict[str, str]:
    """What register asks of a browser, answered. Raises Misconfigured where only a person in a browser can."""
    if challenge["kind"] == "turnstile":
        raise Misconfigured("Turnstile asks for a person: start with --no-accounts and sign up through the pages.")
    if challenge["kind"] == "off":
        return {}
    said, bits = challenge["challenge"], challenge["bits"]
    tried = (f"{said}.{number}" for number in count())
    return {"proof": next(text for text in tried if _leading_zeros(text) >= bits)}


def _leading_zeros(text: str) -> int:
    return 256 - int.from_bytes(hashlib.sha256(text.encode()).digest(), "big").bit_length()


def _email(username: str) -> str:
    return f"{username}@usher.example"
