"""`usher token mint|inspect|explain`."""

from __future__ import annotations

import argparse
import base64
import re
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from rich.console import Console
from rich.table import Table

from gateway.edge import gate, keyring
from infra.cli.keys import secrets
from infra.cli.session import home
from shared import keys, tokens
from shared.errors import Invalid
from shared.ids import new_secret, new_session_id
from shared.secrets import PLAYBACK_KEYS

_CARRIED = re.compile(r"(?:^|/)t/([^/?#]+)/?([^?#]*)")
_TIMES = ("iat", "exp", "hmx")


def split(text: str) -> tuple[str, str]:
    """A token or an address that carries one → (token, path under it)."""
    if match := _CARRIED.search(text):
        return match[1], match[2]
    return text.strip(), ""


def mint(arguments: argparse.Namespace) -> int:
    """Sign a token as control would after an entitlement check."""
    key_set = keys.parse_key_set(secrets().read(PLAYBACK_KEYS))
    claims = claims_of(arguments, now=int(time.time()))
    token = tokens.mint(claims, keys.signing_key(key_set))
    kept = home().read_credentials()
    if arguments.edition:
        ceiling = arguments.height or "1080"
        path = f"{claims.scope}e/{arguments.edition}/{ceiling}.m3u8"
        token = tokens.playback_url(edge_origin(kept.origin if kept else "http://127.0.0.1:8700"), token, path)
    print(token)
    return 0


def claims_of(arguments: argparse.Namespace, *, now: int) -> tokens.Claims:
    """What the minted token says."""
    scope = f"v/{arguments.title}/"
    return tokens.Claims(
        iss=tokens.ISSUER,
        aud=tokens.AUDIENCE,
        iat=now,
        exp=now + tokens.START_WINDOW_S,
        jti=new_session_id(),
        sid=new_session_id(),
        sub=arguments.sub or new_secret(12),
        scope=scope,
        cdniv=1,
        cdniuc=tokens.container(scope),
        hmx=now + tokens.HARD_END_S,
        cap=arguments.screens,
        q=arguments.height,
    )


def edge_origin(origin: str) -> str:
    """The edge that `run` puts beside control."""
    host, _, port = origin.rpartition(":")
    return f"{host}:{int(port) + 1}"


def inspect(arguments: argparse.Namespace) -> int:
    """Header and claims as they stand."""
    token, path = split(arguments.token)
    table = Table(show_header=False, box=None)
    try:
        header, claims = (_part(part) for part in token.split(".")[:2])
    except ValueError as error:
        raise Invalid("This is no token: expected three base64url parts with dots between.") from error
    for name, value in {**header, **claims}.items():
        table.add_row(f"[bold]{name}", f"{value}  {_moment(value)}" if name in _TIMES else str(value))
    if path:
        table.add_row("[bold]path", path)
    Console(highlight=False, soft_wrap=True).print(table)
    return 0


def _part(text: str) -> dict[str, Any]:
    return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, Any])


def _moment(value: object) -> str:
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, int) else ""


def explain(arguments: argparse.Namespace) -> int:
    """The edge's checks in order; status 1 when one refuses."""
    token, path = split(arguments.token)
    document = msgspec.json.encode(keys.jwks(keys.parse_key_set(secrets().read(PLAYBACK_KEYS))))
    steps = gate.explain(token, arguments.path or path, keyring.parse(document).keys, now=time.time())
    table = Table(show_header=False, box=None)
    for step in steps:
        table.add_row("[green]passes" if step.ok else "[red]refuses", f"[bold]{step.name}", step.words)
    Console(highlight=False, soft_wrap=True).print(table)
    return 0 if all(step.ok for step in steps) else 1
