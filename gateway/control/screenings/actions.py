"""What is done for a screening: the signing key at hand, the screen re-used, the link made."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title, Titles, card
from gateway.control.db import Begin
from gateway.control.entitlements import actions as entitlements_actions
from gateway.control.entitlements.model import Admission, Entitlements
from gateway.control.jobs.model import Jobs
from gateway.control.jobs.progress import view
from gateway.control.outbox import Outbox
from gateway.control.screenings.model import (
    Cdn,
    Logins,
    Making,
    Play,
    Player,
    Screen,
    Screening,
    Screenings,
    Screens,
    best_ceiling,
    refusal,
)
from gateway.control.watching.actions import reference
from gateway.control.watching.model import Shelves
from shared import keys, seats, tokens
from shared.clock import Clock
from shared.errors import NotFound, Unavailable
from shared.events import REVOKED, Push
from shared.ids import new_session_id
from shared.seats import LiveSeat, Seats
from shared.secrets import PLAYBACK_KEYS, Secrets
from shared.settings import ControlSettings
from shared.storage import names

#: A rotated key signs, and is published, within this long.
FRESH_S = 5.0
#: Why a session is over that its own viewer stopped.
STOPPED = "stopped"
#: Rights that one transaction ends, of each sort.
AT_ONCE = 100


class Stores(Protocol):
    """One transaction."""

    @property
    def screenings(self) -> Screenings: ...
    @property
    def entitlements(self) -> Entitlements: ...
    @property
    def catalogue(self) -> Titles: ...
    @property
    def outbox(self) -> Outbox: ...


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


def allow(admission: Admission, viewer: Principal | None, title: Title) -> None:
    """Raises what stands in the way of watching."""
    if not admission.decision.allow:
        raise refusal(admission.decision, viewer, title)


async def begin(
    admission: Admission,
    title: Title,
    viewer: Principal,
    *,
    sid: str,
    link_at: datetime,
    entitlements: Entitlements,
    outbox: Outbox,
    redis: Redis,
) -> str:
    """The session a link is for: `sid`, but of one view the same as before; a new one where that was ended.

    Nobody ends it until this transaction is over, so the link is not dead before it is given.
    """
    right = admission.right

    async def taken(sid: str, *, fresh: bool) -> str:
        if right is None:
            return sid
        return await entitlements_actions.begin(
            right, title, sid=sid, fresh=fresh, link_at=link_at, entitlements=entitlements
        )

    held = right.sid if right is not None else None
    found = await taken(sid, fresh=held is not None and await is_over(viewer.sub, held, redis=redis))
    # After the row of the right, as whoever ends rights takes them.
    return found if await outbox.ended(sid=found) < 0 else await taken(new_session_id(), fresh=True)


async def session_of(viewer: Principal | None, *, redis: Redis) -> str:
    """The sid this login's device holds a seat with, so that a reload is not a second screen; else a new one.

    fails="open": without Redis a new sid is drawn; the edge counts.
    """
    if viewer is None or not viewer.device:
        return new_session_id()
    try:
        held = await seats.live(redis, viewer.sub)
        sid = next((seat.sid for seat in held if seat.device == viewer.device), None)
    except (RedisError, OSError):
        return new_session_id()
    # A session that was ended is refused for good, though its lease may still run.
    return new_session_id() if sid is None or await is_over(viewer.sub, sid, redis=redis) else sid


async def is_over(sub: str, sid: str, *, redis: Redis) -> bool:
    """Whether a session was ended before its time. fails="open": without Redis it was not, and the edge says so."""
    try:
        gone = seats.keys(sub)[2]
        return bool(await redis.hexists(gone, sid) or await redis.hexists(REVOKED, f"sid:{sid}"))
    except (RedisError, OSError):
        return False


def link(
    title: Title,
    claims: tokens.Claims,
    *,
    start_s: float,
    cmcd: bool,
    signer: Signer,
    cdn: Cdn,
    settings: ControlSettings,
) -> Play:
    """The answer to `play`: what `claims` allow, signed."""
    token = signer.sign(claims)
    path = names.multivariant(title.id, title.edition or "", best_ceiling(title.ceilings))
    origins = cdn.pick(sub=claims.sub, title=title.id)
    base_url = f"{origins[0]}/t/{token}"
    sprites = f"{base_url}/{names.sprites_index(title.id, title.version or '')}"
    urls = [tokens.playback_url(origin, token, path) for origin in origins]
    return Play(
        url=urls[0],
        alternates=urls,
        sid=claims.sid,
        expires_at=datetime.fromtimestamp(claims.exp, UTC),
        player=Player(
            start_s=start_s,
            beat_s=settings.beat_s,
            title=title.name,
            poster_url=card(title).poster_url,
            sound_only=title.sound_only,
            base_url=base_url,
            cmcd=cmcd,
            sprites=sprites if title.has_storyboard else None,
        ),
        making=title.making,
    )


async def making(title: Title, *, jobs: Jobs) -> Making:
    """How much of a title is there to be watched."""
    duration_s = title.duration_s or 0.0
    if not title.making:
        return Making(making=False, fraction=1.0, duration_s=duration_s, made=[[0.0, duration_s]])
    found = [job for job in await jobs.latest([title.id]) if job.version == title.version]
    shown = [view(job, await jobs.pieces([job.id])) for job in found]
    fraction, made = (shown[0].progress, shown[0].made) if shown else (0.0, [])
    return Making(making=True, fraction=fraction, duration_s=duration_s, made=made)


async def note(
    claims: tokens.Claims,
    viewer: Principal,
    title: Title,
    *,
    device: str,
    screenings: Screenings,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Keep that a session was given a link, in the transaction that looked at the right."""
    ends_at = datetime.fromtimestamp(claims.hmx, UTC)
    device = " ".join(device.split())
    row = Screening(sid=claims.sid, principal=viewer.id, sub=viewer.sub, title=title.id, device=device, ends_at=ends_at)
    await screenings.put(row, at=clock.now())
    await outbox.emit("playback.granted", claims.sid, sid=claims.sid, title=title.id, sub=viewer.sub)


async def held_seats(viewer: Principal, *, redis: Redis) -> list[LiveSeat]:
    """The seats a viewer holds now. fails="closed": raises Unavailable without Redis, which alone knows."""
    try:
        return await seats.live(redis, viewer.sub)
    except (RedisError, OSError) as error:
        raise Unavailable("The screens cannot be counted right now; try again in a moment.") from error


async def seats_if_known(viewer: Principal, *, redis: Redis) -> list[LiveSeat]:
    """The same; none where Redis does not answer. fails="open"."""
    try:
        return await held_seats(viewer, redis=redis)
    except Unavailable:
        return []


async def screens(
    viewer: Principal,
    held: Sequence[LiveSeat],
    *,
    screenings: Screenings,
    titles: Shelves,
    logins: Logins,
    clock: Clock,
) -> Screens:
    """These seats as their viewer knows them: by what the player or the login is called, and what is on."""
    rows = {row.sid: row for row in await screenings.of_viewer(viewer.id, [seat.sid for seat in held])}
    shown = {seat.sid: rows[seat.sid].title if seat.sid in rows else seat.title for seat in held}
    found = {title.id: reference(title) for title in await titles.by_ids(sorted(set(shown.values())))}
    called = {one.device: one.name for one in await logins.devices(viewer.id, viewer.login, clock.now())}
    return Screens(
        [
            Screen(
                id=seat.sid,
                device=(rows[seat.sid].device if seat.sid in rows else "") or called.get(seat.device, ""),
                title=found.get(shown[seat.sid]),
                place=seat.place,
                since=datetime.fromtimestamp(seat.since, UTC),
                current=bool(viewer.device) and seat.device == viewer.device,
            )
            for seat in held
        ]
    )


async def stop(sid: str, *, by: Principal, screenings: Screenings, outbox: Outbox) -> Screening:
    """End one of one's own sessions. Raises NotFound, for other people's too; `free` gives its seat back at once."""
    found = await screenings.by_sid(sid)
    if found is None or found.principal != by.id:
        raise NotFound("You have no such screen.")
    await end(found, reason=STOPPED, outbox=outbox)
    return found


async def stop_all(sids: Sequence[str], *, by: Principal, screenings: Screenings, outbox: Outbox) -> list[Screening]:
    """End those of these sessions that are one's own."""
    ended = await screenings.of_viewer(by.id, sids)
    for one in sorted(ended, key=lambda one: one.sid):  # in one order, so that no two who end them wait for each other
        await end(one, reason=STOPPED, outbox=outbox)
    return ended


async def end(screening: Screening, *, reason: str, outbox: Outbox) -> None:
    """A session is over for good, whatever links it was given."""
    iat = int(screening.ends_at.timestamp())
    await outbox.push(Push(kind="sid", key=screening.sid, iat=iat, reason=reason))
    data = {"sid": screening.sid, "sub": screening.sub, "title": screening.title}
    await outbox.emit("playback.ended", screening.sid, **data, reason=reason)


async def end_rights(*, begin: Begin[Stores], clock: Clock) -> bool:
    """End what plays by a right whose time is over, unless another right carries it. Whether there may be more.

    A link is over with its right as that stood when it was given, so what is left is what was begun earlier than that
    link thought: by another link, or by an edge that told late. Each right is told once, however many workers ask.
    """
    now = clock.now()
    async with begin() as unit:
        rights, outbox = unit.entitlements, unit.outbox
        ended = await entitlements_actions.end_over(now=now, limit=AT_ONCE, entitlements=rights, outbox=outbox)
        over: dict[str, Screening] = {}
        for right in ended:
            viewer = await rights.principal(right.principal)
            for screening in await unit.screenings.running(right.principal, right.scope, now):
                title = await unit.catalogue.by_id(screening.title)
                if viewer is None or title is None:
                    continue
                admission = await entitlements_actions.may_watch(title, viewer, entitlements=rights, now=now)
                if not admission.decision.allow:
                    over[screening.sid] = screening
        for sid in sorted(over):
            await end(over[sid], reason=entitlements_actions.ENDED, outbox=outbox)
    return len(ended) >= AT_ONCE


async def keep_shared(sid: str, *, screenings: Screenings, outbox: Outbox) -> None:
    """An edge ended a session because its link was in many hands: so it stays, also where Redis forgets it."""
    found = await screenings.by_sid(sid)
    if found is not None:
        await outbox.push(Push(kind="sid", key=sid, iat=int(found.ends_at.timestamp()), reason="shared"))


async def free(ended: Sequence[Screening], *, reason: str, seats: Seats) -> None:
    """Give the seats of ended sessions back now. fails="open": what the outbox sends ends them all the same."""
    with suppress(RedisError, OSError):
        for one in ended:
            await seats.banish(one.sub, one.sid, reason=reason, hmx=int(one.ends_at.timestamp()))
