"""The pages on a shelf kept in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import msgspec
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.control.catalogue.model import SellerRef, TitleCard, TitleView
from gateway.control.limits import Taken
from gateway.control.portal.model import Portal
from gateway.control.watching.model import WatchedTitle
from gateway.web.front import Me, bare_portal
from gateway.web.pages import Pages
from shared.errors import NotFound
from shared.settings import ControlSettings

HOSTILE = "\"><script>alert(1)</script>{{ 7 * 7 }}'"


@dataclass
class Shelf:
    """A `Front` whose every word is hostile, and whose answers a test may change."""

    portal_shown: Portal = field(
        default_factory=lambda: msgspec.structs.replace(
            bare_portal(), name=HOSTILE, legal_text=HOSTILE, legal_html="x", needs_setup=True
        )
    )
    who: Me | None = field(default_factory=lambda: Me(HOSTILE, admin=True))
    titles: dict[str, TitleView] = field(default_factory=dict)
    fails: Exception | None = None

    async def portal(self, request: Request[Any]) -> Portal:
        if self.fails:
            raise self.fails
        return self.portal_shown

    async def me(self, request: Request[Any]) -> Me | None:
        return self.who

    async def shelf(self, request: Request[Any], *, q: str, cursor: str) -> tuple[list[TitleCard], str]:
        return list(self.titles.values()), "the next page"

    async def watching(self, request: Request[Any]) -> list[WatchedTitle]:
        seen = datetime(2026, 1, 1, tzinfo=UTC)
        return [
            WatchedTitle(title=title, position_s=60.0, duration_s=5520.0, watched_s=60.0, last_seen=seen)
            for title in self.titles.values()
        ]

    async def title(self, request: Request[Any], short_id: str) -> TitleView:
        if short_id not in self.titles:
            raise NotFound("There is no such title.")
        return self.titles[short_id]


def make_title(short_id: str = "ab23", **changes: Any) -> TitleView:
    """A published title whose name is hostile."""
    fields: dict[str, Any] = {
        "id": "ttl_" + "0" * 32,
        "short_id": short_id,
        "slug": "a-film",
        "name": HOSTILE,
        "kind": "video",
        "seller": SellerRef(HOSTILE, "ocean"),
        "price_minor": 499,
        "is_free": False,
        "currency": "USD",
        "duration_s": 5520.0,
        "poster_url": "/v1/titles/x/poster.jpg?v=1",
        "watch_url": f"/watch/{short_id}/a-film",
        "height": 1080,
        "description": HOSTILE,
        "state": "published",
        "parent_id": None,
        "window_from": None,
        "window_until": None,
        "published_at": None,
        "takedown": None,
        "ceilings": ["1080"],
        "sound_only": False,
        "created_at": datetime(2026, 1, 1, tzinfo=UTC),
        "short_id_frozen": True,
    }
    return TitleView(**{**fields, **changes})


class NoLimits:
    """Lets everybody pass, unless a test says otherwise."""

    taken = Taken()

    async def take(self, route: str, limit: object, *, address: str) -> Taken:
        return self.taken


@pytest.fixture
def a_title() -> Callable[..., TitleView]:
    """Makes titles."""
    return make_title


@pytest.fixture
def settings() -> ControlSettings:
    """Settings of a portal at https://films.example."""
    return ControlSettings(public_origin="https://films.example", edge_origin="https://edge.example")


@pytest.fixture
def shelf() -> Shelf:
    """A shelf with a film, and a recording without a cover."""
    sound = make_title("cd45", kind="audio", sound_only=True, poster_url=None, price_minor=0)
    return Shelf(titles={"ab23": make_title(), "cd45": sound})


@pytest.fixture
def pages(settings: ControlSettings, shelf: Shelf) -> Pages:
    """The pages, reading from the shelf."""
    return Pages(settings, shelf)


@pytest.fixture
def limits() -> NoLimits:
    """The limits of the pages."""
    return NoLimits()


@pytest.fixture
def browse(pages: Pages, limits: NoLimits, settings: ControlSettings) -> Callable[[str], Any]:
    """`await browse(path)` → the answer, redirects not followed."""
    app = Starlette(routes=pages.routes())
    state = {"limits": limits, "trusted_proxies": (), "settings": settings}
    transport = httpx2.ASGITransport(app=with_state(app, state))
    client = httpx2.AsyncClient(transport=transport, base_url=settings.public_origin)
    return client.get


def with_state(app: ASGIApp, state: dict[str, Any]) -> Any:
    """The app as a server that ran its lifespan calls it."""

    async def call(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": dict(state)}, receive, send)

    return call
