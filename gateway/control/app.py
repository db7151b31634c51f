"""The control plane's ASGI app: the features' routes, the pages, and what wraps them."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

from gateway.control import openapi
from gateway.control.accounts.model import Passwords
from gateway.control.accounts.routes import ROUTES as ACCOUNTS
from gateway.control.audit.routes import ROUTES as AUDIT
from gateway.control.catalogue.routes import ROUTES as CATALOGUE
from gateway.control.checkout.routes import ROUTES as CHECKOUT
from gateway.control.coupons.routes import ROUTES as COUPONS
from gateway.control.entitlements.routes import ROUTES as ENTITLEMENTS
from gateway.control.farms.routes import ROUTES as FARMS
from gateway.control.flags.routes import ROUTES as FLAGS
from gateway.control.giftcards.routes import ROUTES as GIFT_CARDS
from gateway.control.headers import SecurityHeaders
from gateway.control.idempotency.model import REPLAYED
from gateway.control.jobs.routes import ROUTES as JOBS
from gateway.control.limits import READ
from gateway.control.offers.routes import ROUTES as OFFERS
from gateway.control.office.routes import ROUTES as OFFICE
from gateway.control.payees.routes import ROUTES as PAYEES
from gateway.control.payments.routes import ROUTES as PAYMENTS
from gateway.control.payouts.routes import ROUTES as PAYOUTS
from gateway.control.portal.routes import ROUTES as PORTAL
from gateway.control.problems import Problem
from gateway.control.readiness import watched
from gateway.control.reconciliation.routes import ROUTES as RECONCILIATION
from gateway.control.referrals.routes import ROUTES as REFERRALS
from gateway.control.revocations.routes import ROUTES as REVOCATIONS
from gateway.control.route import Call, Route
from gateway.control.sandbox.routes import ROUTES as SANDBOX
from gateway.control.screenings.routes import ROUTES as SCREENINGS
from gateway.control.sellers.routes import ROUTES as SELLERS
from gateway.control.statements.routes import ROUTES as STATEMENTS
from gateway.control.subtitles.routes import ROUTES as SUBTITLES
from gateway.control.uploads.routes import ROUTES as UPLOADS
from gateway.control.wallet.routes import ROUTES as WALLET
from gateway.control.watching.routes import ROUTES as WATCHING
from gateway.control.webhooks.routes import ROUTES as WEBHOOKS
from gateway.control.wiring import Wiring, wire
from gateway.web.pages import not_found_page, page_routes
from shared import log, private
from shared.clock import Clock
from shared.settings import ControlSettings, load

VERSION = "1.0.0"
#: Paths that programs ask, of whatever version.
API = re.compile(r"/v\d+/")
TUS_HEADERS = ("Location", "Tus-Resumable", "Tus-Version", "Upload-Offset", "Upload-Length", "Upload-Expires")


async def read_openapi(call: Call[None]) -> Response:
    """This API as an OpenAPI 3.1 document."""
    return Response(DOCUMENT, media_type="application/json", headers={"Cache-Control": "public, max-age=300"})


async def read_health(call: Call[None]) -> dict[str, str]:
    """Whether the control plane answers."""
    return {"status": "ok"}


OWN = [
    Route("GET", "/v1/openapi.json", read_openapi, limit=READ, login=False, stream=True, tag="about"),
    Route("GET", "/v1/healthz", read_health, limit=READ, login=False, tag="about"),
]
ROUTES: list[Route] = [
    *ACCOUNTS,
    *SELLERS,
    *PORTAL,
    *CATALOGUE,
    *UPLOADS,
    *JOBS,
    *SUBTITLES,
    *FARMS,
    *SCREENINGS,
    *WATCHING,
    *ENTITLEMENTS,
    *OFFERS,
    *COUPONS,
    *GIFT_CARDS,
    *REFERRALS,
    *REVOCATIONS,
    *FLAGS,
    *WALLET,
    *PAYOUTS,
    *RECONCILIATION,
    *CHECKOUT,
    *STATEMENTS,
    *PAYEES,
    *PAYMENTS,
    *SANDBOX,
    *WEBHOOKS,
    *OFFICE,
    *AUDIT,
    *OWN,
]
DOCUMENT = msgspec.json.encode(openapi.document(ROUTES, title="Usher", version=VERSION))


def create_app(
    settings: ControlSettings | None = None, *, clock: Clock | None = None, passwords: Passwords | None = None
) -> Starlette:
    """The app; settings come from the environment, clock and password hashing are real, unless a test hands them in."""
    settings = settings or load(ControlSettings)
    logger = log.set_up(settings, "control")

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[Wiring]:
        async with wire(settings, clock=clock, passwords=passwords) as wiring, watched(wiring) as ready:
            stop = private.start(settings, ready=ready)
            try:
                yield wiring
            finally:
                stop()
                logger.info("stop")

    origins = [origin.strip() for origin in settings.cors_origins.split(",") if origin.strip()]
    return Starlette(
        routes=[*(route.starlette() for route in ROUTES), *page_routes(settings)],
        lifespan=lifespan,
        exception_handlers={HTTPException: cast(Any, _http_error)},
        middleware=[
            Middleware(SecurityHeaders, settings=settings),
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"],
                allow_headers=["*"],
                expose_headers=[*TUS_HEADERS, "RateLimit", "RateLimit-Policy", "Retry-After", REPLAYED],
                max_age=600,
            ),
        ],
    )


async def _http_error(request: Request[Any], error: HTTPException) -> Response:
    """What the router itself refuses (no such route, wrong method) as a problem or, outside the API, as a page."""
    if error.status_code == 404 and not API.match(request.url.path):
        return await not_found_page(request)
    problem = Problem("about:blank", error.detail, error.status_code, error.detail, f"http-{error.status_code}")
    return Response(
        msgspec.json.encode(problem), error.status_code, error.headers, media_type="application/problem+json"
    )
