"""A screening: the link with which a player plays, as values; who delivers it is a port."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Protocol

import msgspec
from msgspec import Meta

from gateway.control.accounts.model import Device
from gateway.control.auth import Principal
from gateway.control.catalogue.model import Title
from gateway.control.entitlements.model import Decision
from gateway.control.watching.model import TitleRef
from shared.errors import Forbidden, Gone, Unauthenticated, UsherError
from shared.settings import ControlSettings
from shared.tokens import AUDIENCE, ISSUER, Claims, container

WORDS = {
    "not-ready": "This title is still being prepared.",
    "outside-window": "This title cannot be watched now.",
    "blocked": "The seller does not offer this title to your account.",
    "right-ended": "Your right to watch this title is over.",
    "no-right": "This account has no right to watch this title.",
}


class PlayOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks to play; `device` is what the player calls itself, by which its viewer knows it among other screens."""

    device: Annotated[str, Meta(max_length=100)] = ""


class Player(msgspec.Struct, frozen=True, kw_only=True):
    """What the player needs besides the address.

    `base_url` + `/beat?t=<seconds>` is a sign of life and says where the player is, `/end` frees the screen. `start_s`
    is where to go on. `cmcd`: tell the edge how well it plays (CTA-5004). `sprites`: WebVTT of small pictures along
    the seek bar, by time.
    """

    start_s: float
    beat_s: int
    title: str
    poster_url: str | None
    sound_only: bool
    base_url: str
    cmcd: bool = False
    sprites: str | None = None


class Play(msgspec.Struct, frozen=True, kw_only=True):
    """A link to play by: first used until `expires_at`, then good for as long as the screening lasts.

    `making`: not all of it is there yet; a part that is asked for is made next.
    """

    url: str
    alternates: list[str]
    sid: str
    expires_at: datetime
    player: Player
    making: bool = False


class Making(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a title is there to be watched: `made` are spans of it, [start, end] in seconds, in order.

    `fraction` (0 to 1) is how far the work on it is.
    """

    making: bool
    fraction: float
    duration_s: float
    made: list[list[float]]


class Screening(msgspec.Struct, frozen=True, kw_only=True):
    """A session that was given a link; `device` is what its player called itself. Its links are over at `ends_at`."""

    sid: str
    principal: str
    sub: str
    title: str
    device: str
    ends_at: datetime


class Screen(msgspec.Struct, frozen=True, kw_only=True):
    """A screen in use. `place` is a network prefix, `current` that of the device that asks."""

    id: str
    device: str
    title: TitleRef | None
    place: str
    since: datetime
    current: bool


class Screens(msgspec.Struct, frozen=True):
    """The screens in use, the longest in use first."""

    items: list[Screen]


class Screenings(Protocol):
    """What the actions ask of storage."""

    async def put(self, screening: Screening, *, at: datetime) -> None: ...
    async def by_sid(self, sid: str) -> Screening | None: ...
    async def running(self, principal: str, scope: str, now: datetime) -> list[Screening]: ...
    async def of_viewer(self, principal: str, sids: Sequence[str]) -> list[Screening]: ...


class Logins(Protocol):
    """Finds what logins are called; accounts provides it."""

    async def devices(self, principal: str, current: str, at: datetime) -> list[Device]: ...


class Cdn(Protocol):
    """Chooses who delivers."""

    def pick(self, *, sub: str, title: str) -> Sequence[str]:
        """Origins to play from, the best first; at least one."""
        ...


class OwnEdge:
    """Delivers from our own edge alone."""

    def __init__(self, origin: str) -> None:
        self._origins = (origin.rstrip("/"),)

    def pick(self, *, sub: str, title: str) -> Sequence[str]:
        """The one edge."""
        return self._origins


def refusal(decision: Decision, viewer: Principal | None, title: Title) -> UsherError:
    """Why not, as the error to answer with: somebody who is not logged in is asked to do that first."""
    if decision.reason == "taken-down":
        return Gone("This title was taken down.", code="taken-down", notice=title.takedown_notice or "")
    if decision.reason == "no-right" and (viewer is None or viewer.kind == "guest"):
        return Unauthenticated("Log in to watch this title.")
    return Forbidden(WORDS[decision.reason], code=f"entitlement-{decision.reason}")


def best_ceiling(ceilings: Sequence[str]) -> str:
    """The playlist that lists all renditions: that of the greatest height, or `audio`."""
    return max(ceilings, key=lambda name: int(name) if name.isdigit() else 0)


def start_end(issued: float, settings: ControlSettings) -> datetime:
    """Until when a link that is given at `issued` must have been started."""
    return datetime.fromtimestamp(int(issued) + settings.play_start_window_s, UTC)


def claims_of(
    title: Title,
    viewer: Principal,
    *,
    sid: str,
    jti: str,
    now: float,
    right_end: datetime | None,
    settings: ControlSettings,
) -> Claims:
    """What the token says. The hard end is that of the right or `play_hard_end_s`, whichever comes first."""
    issued, scope = int(now), f"v/{title.id}/"
    hard_end = issued + settings.play_hard_end_s
    if right_end is not None:
        hard_end = min(hard_end, int(right_end.timestamp()))
    ceiling = best_ceiling(title.ceilings)
    return Claims(
        iss=ISSUER,
        aud=AUDIENCE,
        iat=issued,
        exp=min(issued + settings.play_start_window_s, hard_end),
        jti=jti,
        sid=sid,
        sub=viewer.sub,
        scope=scope,
        cdniv=1,
        cdniuc=container(scope),
        hmx=hard_end,
        cap=settings.screens,
        q=int(ceiling) if ceiling.isdigit() else 0,
        d=viewer.device,
        b=title.binding or settings.binding,
    )
