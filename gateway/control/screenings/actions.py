"""What is done for a screening: the signing key at hand, the screen re-used, the link made."""

from __future__ import annotations

from datetime import UTC, datetime

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title, card
from gateway.control.entitlements import actions as entitlements_actions
from gateway.control.entitlements.model import Entitlements
from gateway.control.screenings.model import Cdn, Play, Player, best_ceiling, claims_of, refusal
from shared import keys, seats, tokens
from shared.clock import Clock
from shared.ids import new_secret, new_session_id
from shared.secrets import PLAYBACK_KEYS, Secrets
from shared.settings import ControlSettings
from shared.storage import names

#: A rotated key signs, and is published, within this long.
FRESH_S = 5.0


class Signer:
    """The key set, read again when it is FRESH_S old."""

    def __init__(self, secrets: Secrets, clock: Clock) -> None:
        self._secrets, self._clock = secrets, clock
        self._read_at = float("-inf")
        self._set: keys.KeySet | None = None
        self._key: keys.SigningKey | None = None

    def key_set(self) -> keys.KeySet:
        """All three slots. Raises Misconfigured without one."""
        if self._set is None or self._clock.epoch() - self._read_at >= FRESH_S:
            fresh = keys.parse_key_set(self._secrets.read(PLAYBACK_KEYS))
            if fresh != self._set:
                self._set, self._key = fresh, keys.signing_key(fresh)
            self._read_at = self._clock.epoch()
            return fresh
        return self._set

    def sign(self, claims: tokens.Claims) -> str:
        """A token, by the current key."""
        current = self.key_set()
        return tokens.mint(claims, self._key or keys.signing_key(current))


async def allow(title: Title, viewer: Principal | None, *, entitlements: Entitlements, clock: Clock) -> datetime | None:
    """When the right to watch ends (None: nothing ends it). Raises what stands in the way."""
    decision, end = await entitlements_actions.may_watch(title, viewer, entitlements=entitlements, now=clock.now())
    if not decision.allow:
        raise refusal(decision, viewer, title)
    return end


async def session_of(viewer: Principal, *, redis: Redis) -> str:
    """The sid this login's device holds a seat with, so that a reload is not a second screen; else a new one.

    fails="open": without Redis a new sid is drawn; the edge counts.
    """
    if not viewer.device:
        return new_session_id()
    try:
        held = await seats.live(redis, viewer.sub)
        sid = next((seat.sid for seat in held if seat.device == viewer.device), None)
        # A session that was ended is refused for good, though its lease may still run.
        over = sid is not None and await redis.hexists(seats.keys(viewer.sub)[2], sid)
    except (RedisError, OSError):
        return new_session_id()
    return new_session_id() if sid is None or over else sid


def link(
    title: Title,
    viewer: Principal,
    *,
    sid: str,
    right_end: datetime | None,
    signer: Signer,
    cdn: Cdn,
    settings: ControlSettings,
    now: float,
) -> Play:
    """The answer to `play`. `now` is from before the right was looked at: a right that ends later ends this too."""
    claims = claims_of(title, viewer, sid=sid, jti=new_secret(12), now=now, right_end=right_end, settings=settings)
    token = signer.sign(claims)
    path = names.multivariant(title.id, title.edition or "", best_ceiling(title.ceilings))
    origins = cdn.pick(sub=viewer.sub, title=title.id)
    urls = [tokens.playback_url(origin, token, path) for origin in origins]
    return Play(
        url=urls[0],
        alternates=urls,
        sid=sid,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        player=Player(
            start_s=0.0,
            beat_s=settings.beat_s,
            title=title.name,
            poster_url=card(title).poster_url,
            sound_only=title.sound_only,
            base_url=f"{origins[0]}/t/{token}",
        ),
    )
