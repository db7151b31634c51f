"""Who the CLI is: USHER_HOME, and the running Usher's API as one of the accounts kept there."""

from __future__ import annotations

import os
from pathlib import Path

from infra.api import Api
from infra.stack import plan
from infra.stack.home import Home
from shared.errors import Misconfigured
from shared.settings import variable


def home() -> Home:
    """USHER_HOME, `.usher` in the project where it is not set."""
    return Home(Path(os.environ.get(variable("home")) or plan.ROOT / ".usher"))


def database_url() -> str:
    """USHER_DATABASE_URL, or the database of the running Usher."""
    return os.environ.get(variable("database_url")) or plan.make(home(), dict(os.environ), mark="").database_url


def api(role: str) -> Api:
    """The API as `admin`, `seller` or `viewer`. USHER_ORIGIN with USHER_BEARER names another Usher and account."""
    origin, bearer = os.environ.get(variable("origin")), os.environ.get(variable("bearer"))
    if origin and bearer:
        return Api(origin, bearer)
    kept = home().read_credentials()
    if kept is None or role not in kept.sessions:
        raise Misconfigured(
            f"{home().credentials} holds no {role}'s session: start `make run` once, "
            "or set USHER_ORIGIN and USHER_BEARER."
        )
    return Api(origin or kept.origin, kept.sessions[role].bearer)
