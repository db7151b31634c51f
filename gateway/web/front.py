"""What pages read: the portal, who looks, and titles; the port that finds them."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from starlette.requests import Request

from gateway.control.catalogue.model import TitleCard, TitleView
from gateway.control.portal.model import Portal
from gateway.control.watching.model import WatchedTitle


class Me(msgspec.Struct, frozen=True):
    """Who looks at the page. `office`: may see a part of the administration; `sells`: works for a seller."""

    username: str
    admin: bool = False
    office: bool = False
    sells: bool = False


class Front(Protocol):
    """Finds what pages show. Each method raises UsherError; the pages say it in words."""

    async def portal(self, request: Request[Any]) -> Portal:
        """The portal's settings."""
        ...

    async def me(self, request: Request[Any]) -> Me | None:
        """Who is logged in, or None."""
        ...

    async def shelf(self, request: Request[Any], *, q: str, cursor: str) -> tuple[list[TitleCard], str]:
        """One page of published titles and the cursor of the next, or an empty one."""
        ...

    async def watching(self, request: Request[Any]) -> list[WatchedTitle]:
        """What whoever looks began to watch and did not finish, the last seen first; nothing for nobody."""
        ...

    async def title(self, request: Request[Any], short_id: str) -> TitleView:
        """The title of a watch page. Raises NotFound for one this viewer may not know of."""
        ...


def bare_portal() -> Portal:
    """What stands on a page when the portal's settings cannot be read."""
    return Portal(
        name="Usher",
        logo_url="",
        accent="#b4232f",
        accent_dark="#ff6b6f",
        fee_bp=0,
        currency="USD",
        legal_text="",
        legal_html="",
        needs_setup=False,
    )
