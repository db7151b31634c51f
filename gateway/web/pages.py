"""Routes of the pages; handlers read through a `Front` and render a template, errors become a page of words."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from gateway.control.limits import Limit, Taken
from gateway.control.payments.providers.base import parse_rails
from gateway.control.portal.model import Portal
from gateway.control.problems import status_of
from gateway.web import mailbox, palette
from gateway.web.control_front import ControlFront
from gateway.web.front import Front, Me, bare_portal
from gateway.web.policy import page_headers
from gateway.web.static import FOREVER, StaticTree
from gateway.web.templates import environment, paragraphs
from shared import log
from shared.errors import Gone, NotFound, TooMany, UsherError
from shared.metrics import ERRORS
from shared.network import client_address
from shared.settings import ControlSettings

Handler = Callable[[Request[Any]], Awaitable[Response]]
PAGE_LIMIT = Limit(300)
#: Pages that show the same to everybody and do their work in the browser: path → template.
PLAIN = {
    "/docs": "docs",
    "/forgot": "forgot",
    "/register": "register",
    "/reset": "reset",
    "/sandbox/{ref}": "sandbox",
}
#: Pages that make no sense without a login.
PRIVATE = {
    "/account": "account",
    "/admin": "admin",
    "/admin/{part}": "admin",
    "/admin/{part}/{id}": "admin",
    "/earnings": "earnings",
    "/payouts": "payouts",
    "/portal": "portal",
    "/purchases": "purchases",
    "/studio": "studio",
    "/studio/{id}": "studio",
    "/wallet": "wallet",
}
HEADINGS = {
    404: "There is nothing here",
    410: "This is gone",
    429: "One moment, please",
    503: "Back in a moment",
}
UNEXPECTED = "Something went wrong here. It has been written down; please try again."
NOTHING_HERE = "The address is wrong, or what was here has been taken away."


class Pages:
    """All pages of one process: its templates, its static files and where it reads from."""

    def __init__(self, settings: ControlSettings, front: Front) -> None:
        self.settings, self.front = settings, front
        self.static = StaticTree()
        self.templates: Environment = environment(self.static.url)

    @functools.cached_property
    def rails(self) -> list[str]:
        """The payment providers in use, by name."""
        entity, descriptor = self.settings.legal_entity, self.settings.payment_descriptor
        rails = parse_rails(self.settings.payments, legal_entity=entity, descriptor=descriptor)
        return list(dict.fromkeys(rail.provider for rail in rails))

    def routes(self) -> list[BaseRoute]:
        """Every page, the portal's sheet and the static files."""
        return [
            Route("/", self.page(self.browse), name="browse"),
            Route("/watch/{short_id}", self.page(self.watch), name="watch"),
            Route("/watch/{short_id}/{slug}", self.page(self.watch), name="watch-slug"),
            Route("/login", self.page(self.login), name="login"),
            Route("/setup", self.page(self.setup), name="setup"),
            Route("/legal", self.page(self.legal), name="legal"),
            Route("/portal.css", self.page(self.portal_css), name="portal-css"),
            *(Route(path, self.page(self.plain(name)), name=name) for path, name in PLAIN.items()),
            *(Route(path, self.page(self.private(name)), name=f"{name}:{path}") for path, name in PRIVATE.items()),
            Route("/docs/problems", self.page(self.problems), name="problems"),
            *mailbox.routes(self),
            Mount("/static", self.static, name="static"),
        ]

    def page(self, handler: Handler) -> Handler:
        """A handler with its limit, whose errors become pages."""

        async def endpoint(request: Request[Any]) -> Response:
            taken = Taken()
            try:
                taken = await self._take(request)
                if taken.refusal:
                    raise taken.refusal
                response = await handler(request)
            except UsherError as error:
                response = await self.error(request, error)
            except Exception as error:  # the outermost loop: logged, counted, never shown
                ERRORS.labels("control").inc()
                log.get("web").error("unexpected", path=request.scope["route"].path, exc_info=error)
                response = await self.error(request, UsherError(UNEXPECTED))
            response.headers.update(taken.headers)
            return response

        return endpoint

    async def browse(self, request: Request[Any]) -> Response:
        """The shelf and its search, below what one goes on with."""
        q, cursor = request.query_params.get("q", "").strip()[:100], request.query_params.get("cursor", "")
        cards, following = await self.front.shelf(request, q=q, cursor=cursor)
        going = [] if q or cursor else await self.front.watching(request)
        return await self.render(request, "browse", q=q, cards=cards, next=following, going=going)

    async def watch(self, request: Request[Any]) -> Response:
        """One title; any other slug leads to the right one."""
        title = await self.front.title(request, request.path_params["short_id"])
        if request.url.path != title.watch_url:
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(title.watch_url + query, 302, {"Cache-Control": "no-cache"})
        return await self.render(request, "watch", status=410 if title.takedown else 200, title=title)

    async def login(self, request: Request[Any]) -> Response:
        """Log in; who already is goes on to where they wanted."""
        if await self.front.me(request):
            return RedirectResponse(inward(request.query_params.get("next", "/")), 303, {"Cache-Control": "no-store"})
        return await self.render(request, "login")

    async def setup(self, request: Request[Any]) -> Response:
        """The first admin's page, as long as there is none."""
        if not (await self.front.portal(request)).needs_setup:
            return RedirectResponse("/", 303, {"Cache-Control": "no-store"})
        return await self.render(request, "setup")

    async def legal(self, request: Request[Any]) -> Response:
        """The portal's legal texts."""
        portal = await self.front.portal(request)
        if not portal.legal_text.strip():
            raise NotFound(NOTHING_HERE)
        return await self.render(request, "legal", legal=paragraphs(portal.legal_text))

    async def problems(self, request: Request[Any]) -> Response:
        """Every problem code and what it means, which problems' `type` leads to."""
        return await self.render(request, "problems", rows=problem_rows())

    async def portal_css(self, request: Request[Any]) -> Response:
        """The portal's colours as a sheet."""
        portal = await self.front.portal(request)
        headers = {"Cache-Control": FOREVER if request.query_params.get("v") == _tag(portal) else "no-cache"}
        return Response(palette.stylesheet(portal.accent, portal.accent_dark), media_type="text/css", headers=headers)

    def plain(self, template: str) -> Handler:
        """A page without data of its own."""

        async def handler(request: Request[Any]) -> Response:
            return await self.render(request, template)

        return handler

    def private(self, template: str) -> Handler:
        """A page that sends people to log in first."""

        async def handler(request: Request[Any]) -> Response:
            if not await self.front.me(request):
                return RedirectResponse(f"/login?next={request.url.path}", 303, {"Cache-Control": "no-store"})
            return await self.render(request, template, rails=self.rails)

        return handler

    async def error(self, request: Request[Any], error: UsherError) -> Response:
        """An error as a page; it needs no database, so it also says when there is none."""
        status, title = status_of(error)
        words = str(error) if status != 404 or not isinstance(error, NotFound) else NOTHING_HERE
        portal: Portal = bare_portal()
        me = None
        try:
            portal, me = await self.front.portal(request), await self.front.me(request)
        except Exception as other:  # the page that reports a failure must not fail by it
            log.get("web").warning("error page without portal", error=type(other).__name__)
        headers = {"Cache-Control": "no-store"}
        if isinstance(error, TooMany):
            headers["Retry-After"] = str(error.retry_after_s)
        heading = "This is gone" if isinstance(error, Gone) else HEADINGS.get(status, title)
        context = self._context(request, "error", portal=portal, me=me)
        return self._html("error", {**context, "heading": heading, "words": words}, status=status, headers=headers)

    async def render(self, request: Request[Any], template: str, *, status: int = 200, **values: Any) -> Response:
        """A template with what every page needs."""
        portal, me = await self.front.portal(request), await self.front.me(request)
        return self._html(
            template, {**self._context(request, template, portal=portal, me=me), **values}, status=status, headers={}
        )

    def _html(self, template: str, context: dict[str, Any], *, status: int, headers: dict[str, str]) -> Response:
        body = self.templates.get_template(f"{template}.html").render(context)
        framed = bool(context.get("framed"))
        allowed = page_headers(self.settings, logo_url=context["portal"].logo_url, framed=framed)
        return Response(body, status, {**allowed, **headers}, media_type="text/html")

    def _context(self, request: Request[Any], page: str, *, portal: Portal, me: Me | None) -> dict[str, Any]:
        return {
            "page": page,
            "portal": portal,
            "portal_css": f"/portal.css?v={_tag(portal)}",
            "me": me,
            "origin": self.settings.public_origin.rstrip("/"),
        }

    async def _take(self, request: Request[Any]) -> Taken:
        address = client_address(request.scope, request.state["trusted_proxies"])
        taken: Taken = await request.state["limits"].take("page", PAGE_LIMIT, address=address)
        return taken


def inward(address: str) -> str:
    """`address` if it is a path on this site, else `/`: a log-in link must not lead elsewhere."""
    inside = address.startswith("/") and not address.startswith(("//", "/\\")) and address.isprintable()
    return address if inside else "/"


def problem_rows() -> list[tuple[str, int, str]]:
    """Code, status and meaning of every error, from the tree in shared/errors."""
    kinds: list[type[UsherError]] = [UsherError]
    for kind in kinds:
        kinds.extend(child for child in kind.__subclasses__() if child.__module__ == UsherError.__module__)
    return sorted({(kind.code, status_of(kind())[0], (kind.__doc__ or "").strip()) for kind in kinds[1:]})


def _tag(portal: Portal) -> str:
    return hashlib.sha256(f"{portal.accent} {portal.accent_dark}".encode()).hexdigest()[:8]


@functools.cache
def pages_of(settings: ControlSettings) -> Pages:
    """The pages of a process, reading from control."""
    return Pages(settings, ControlFront())


def page_routes(settings: ControlSettings) -> list[BaseRoute]:
    """What `gateway/control/app.py` mounts."""
    return pages_of(settings).routes()


async def not_found_page(request: Request[Any]) -> Response:
    """The page for an address nobody answers."""
    return await pages_of(request.state["settings"]).error(request, NotFound(NOTHING_HERE))
