"""`usher token mint|inspect|explain`."""

from __future__ import annotations

import argparse
import asyncio
import base64
import os
import re
import time
from datetime import UTC, datetime
from typing import Any

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError
from rich.console import Console
from rich.table import Table

from gateway.edge import gate, keyring
from infra.cli.keys import secrets
from infra.cli.session import home
from infra.stack import plan
from shared import keys, seats, tokens
from shared.errors import Invalid
from shared.events import REVOKED
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


async def seat(claims: tokens.Claims, *, now: float) -> gate.Step:
    """What Redis would say to the next request: revoked, seated, free to start, or full. Takes no seat."""
    redis: Redis = Redis.from_url(redis_url(), socket_timeout=2, socket_connect_timeout=2)
    _, known, gone = seats.keys(claims.sub)
    try:
        revoked = await redis.hmget(REVOKED, *(f"{kind}:{key}" for kind, key in _revocable(claims)))
        over: Any = await redis.hget(gone, claims.sid)
        started = bool(await redis.hexists(known, claims.sid))
        live = [one.sid for one in await seats.live(redis, claims.sub)]
    except (RedisError, OSError) as error:
        return gate.Step("seat", True, f"not asked: Redis does not answer ({type(error).__name__})")
    finally:
        await redis.aclose()
    if any(until is not None and claims.iat <= int(until) for until in revoked) or over:
        return gate.Step("seat", False, f"410 {over.decode() if over else 'revoked'}: this session is over")
    if claims.sid in live:
        return gate.Step("seat", True, f"seated, on one of {len(live)} of {claims.cap} screens")
    if not started and now >= claims.exp:
        return gate.Step("seat", False, "401 start-window-over: this session was never started and may not start now")
    if len(live) >= claims.cap:
        return gate.Step("seat", False, f"409 seats-full: {len(live)} of {claims.cap} screens are in use")
    return gate.Step("seat", True, f"free: {len(live)} of {claims.cap} screens are in use")


def _revocable(claims: tokens.Claims) -> tuple[tuple[str, str], ...]:
    return ("title", claims.scope.split("/")[1]), ("sub", claims.sub), ("sid", claims.sid)


def redis_url() -> str:
    """The Redis of the running Usher, or USHER_REDIS_URL."""
    return plan.make(home(), dict(os.environ), mark="").redis_url("control")


def _part(text: str) -> dict[str, Any]:
    return msgspec.json.decode(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), type=dict[str, Any])


def _moment(value: object) -> str:
    return f"{datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC" if isinstance(value, int) else ""


def explain(arguments: argparse.Namespace) -> int:
    """The edge's checks in order; status 1 when one refuses."""
    token, path = split(arguments.token)
    document = msgspec.json.encode(keys.jwks(keys.parse_key_set(secrets().read(PLAYBACK_KEYS))))
    verified = keyring.parse(document).keys
    steps = gate.explain(token, arguments.path or path, verified, now=time.time())
    if all(step.ok for step in steps):
        steps.append(asyncio.run(seat(gate.verify(token, verified), now=time.time())))
    table = Table(show_header=False, box=None)
    for step in steps:
        table.add_row("[green]passes" if step.ok else "[red]refuses", f"[bold]{step.name}", step.words)
    Console(highlight=False, soft_wrap=True).print(table)
    return 0 if all(step.ok for step in steps) else 1
