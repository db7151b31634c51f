"""A Stripe of one's own: stateful, over HTTP, for the real SDK. A fake: the real one is not reachable in tests.

It holds sessions, payments, refunds, disputes, accounts and balances; keeps idempotency keys as Stripe does (the answer
of the first request, a failure too); refuses parameters the SDK does not declare; and fails on demand. Payers act
through its methods, which stand for Stripe's page and for banks. What happened is in `events`; `deliveries` signs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

from aiohttp import web
from stripe import params
from stripe.params import checkout

from tests.fakes.stripe_objects import Refusal, Thing
from tests.fakes.stripe_params import BadParameter, check, nested
from tests.fakes.stripe_payments import StripePayments

Fault = Literal["", "429", "500", "500 after", "timeout after", "cut", "409", "401"]
#: How deep an object may be asked for along its ids.
EXPAND_DEPTH = 4


class StripeServer(StripePayments):
    """The state, and how its door is to behave."""

    def __init__(self) -> None:
        super().__init__()
        self.key = "sk_test_1"
        self.kept: dict[str, tuple[str, int, Thing]] = {}
        #: What the next requests that write meet, and those that read.
        self.faults: list[Fault] = []
        self.read_faults: list[Fault] = []
        #: Called once, when the next request that writes has come and is not looked at yet.
        self.meanwhile: Callable[[], Any] | None = None

    def fail(self, *faults: Fault, reads: bool = False) -> None:
        """Fail at the next requests that write, or that read, one after another; an empty fault lets one pass."""
        (self.read_faults if reads else self.faults).extend(faults)

    def recover(self) -> None:
        """Answer from now on."""
        self.faults.clear()
        self.read_faults.clear()


Act = Callable[[StripeServer, Thing, str], Thing]
#: Method and path → the parameters' declaration, and what is done.
ROUTES: dict[tuple[str, str], tuple[Any, Act]] = {
    ("POST", "/v1/checkout/sessions"): (checkout.SessionCreateParams, lambda s, v, id: s.create_session(v)),
    ("GET", "/v1/checkout/sessions"): (checkout.SessionListParams, lambda s, v, id: s.listed("sessions", v)),
    ("GET", "/v1/checkout/sessions/{id}"): (checkout.SessionRetrieveParams, lambda s, v, id: s.of("sessions", id)),
    ("POST", "/v1/checkout/sessions/{id}/expire"): (
        checkout.SessionExpireParams,
        lambda s, v, id: s.expire_session(s.of("sessions", id)),
    ),
    ("POST", "/v1/payment_intents/{id}/capture"): (
        params.PaymentIntentCaptureParams,
        lambda s, v, id: s.capture(s.of("intents", id)),
    ),
    ("POST", "/v1/payment_intents/{id}/cancel"): (
        params.PaymentIntentCancelParams,
        lambda s, v, id: s.cancel(s.of("intents", id)),
    ),
    ("POST", "/v1/refunds"): (params.RefundCreateParams, lambda s, v, id: s.refund(v)),
    ("GET", "/v1/refunds"): (params.RefundListParams, lambda s, v, id: s.listed("refunds", v)),
    ("GET", "/v1/charges"): (params.ChargeListParams, lambda s, v, id: s.listed("charges", v)),
    ("POST", "/v1/transfers"): (params.TransferCreateParams, lambda s, v, id: s.transfer(v)),
    ("GET", "/v1/transfers"): (params.TransferListParams, lambda s, v, id: s.listed("transfers", v)),
    ("GET", "/v1/disputes"): (params.DisputeListParams, lambda s, v, id: s.listed("disputes", v)),
    ("POST", "/v1/transfers/{id}/reversals"): (
        params.TransferReversalCreateParams,
        lambda s, v, id: s.reverse(s.of("transfers", id), v),
    ),
    ("GET", "/v1/transfers/{id}/reversals"): (
        params.TransferReversalListParams,
        lambda s, v, id: s.listed("reversals", {**v, "transfer": id}),
    ),
    ("POST", "/v1/accounts"): (params.AccountCreateParams, lambda s, v, id: s.create_account(v)),
    ("GET", "/v1/accounts/{id}"): (params.AccountRetrieveParams, lambda s, v, id: s.of("accounts", id)),
    ("POST", "/v1/account_links"): (params.AccountLinkCreateParams, lambda s, v, id: s.create_link(v)),
}


class Door:
    """HTTP: who asks, idempotency keys, faults."""

    def __init__(self, server: StripeServer) -> None:
        self.server = server

    def handler(self, declared: Any, act: Act) -> Callable[[web.Request], Any]:
        """A handler of one route."""

        async def handle(request: web.Request) -> web.StreamResponse:
            form = request.query_string if request.method == "GET" else await request.text()
            if request.method == "POST" and self.server.meanwhile:
                act_before, self.server.meanwhile = self.server.meanwhile, None
                act_before()
            faults = self.server.faults if request.method == "POST" else self.server.read_faults
            fault = faults.pop(0) if faults else ""
            if request.headers.get("Authorization") != f"Bearer {self.server.key}" or fault == "401":
                return _json(401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key provided"}})
            if fault in ("429", "409", "500"):
                return _json(int(fault), {"error": {"type": "api_error", "message": "Later.", "code": "rate_limit"}})
            if fault == "cut" and request.transport:
                request.transport.close()
                return web.Response()
            status, body, again = self._once(request, form, lambda values: act(self.server, values, _id(request)),
                                             declared=declared, lost=fault == "500 after")  # fmt: skip
            if fault == "timeout after":
                await asyncio.sleep(60)
            return _json(status, body, **({"Idempotent-Replayed": "true"} if again else {}))

        return handle

    def _once(
        self, request: web.Request, form: str, act: Callable[[Thing], Thing], *, declared: Any, lost: bool
    ) -> tuple[int, Thing, bool]:
        """The answer, kept with the key of a request that writes. `lost`: it happens and the answer is a failure."""
        key = request.headers.get("Idempotency-Key", "") if request.method == "POST" else ""
        asked = hashlib.sha256(f"{request.path}?{form}".encode()).hexdigest()
        if key in self.server.kept and key:
            before, status, body = self.server.kept[key]
            if before != asked:
                words = "Keys for idempotent requests can only be used with the same parameters."
                return 400, {"error": {"type": "idempotency_error", "message": words}}, False
            return status, body, True
        try:
            values = nested(form)
            check(values, declared)
            paths = list(values.get("expand", {}).values())
            if any(path.count(".") >= EXPAND_DEPTH for path in paths):
                raise BadParameter("expand", "expand", "You cannot expand more than 4 levels.")
            status, body = 200, self.server.shown(act(values), paths)
        except BadParameter as error:
            return 400, _wrong(str(error), code=error.code, param=error.param), False  # not kept: nothing was begun
        except Refusal as error:
            status, body = error.status, error.body
        if lost:
            status, body = 500, {"error": {"type": "api_error", "message": "Something went wrong on Stripe's end."}}
        body = json.loads(json.dumps(body))
        if key:
            self.server.kept[key] = (asked, status, body)
        return status, body, False


def _wrong(words: str, **others: str) -> Thing:
    return {"error": {"type": "invalid_request_error", "message": words, **others}}


def _id(request: web.Request) -> str:
    return request.match_info.get("id", "")


def _json(status: int, body: Mapping[str, Any], **headers: str) -> web.Response:
    named = {"Request-Id": "req_1", **headers}
    return web.Response(status=status, text=json.dumps(body), content_type="application/json", headers=named)


@contextlib.asynccontextmanager
async def stripe_server() -> AsyncIterator[StripeServer]:
    """A running server on a port of its own."""
    server = StripeServer()
    door, app = Door(server), web.Application()
    for (method, path), (declared, act) in ROUTES.items():
        app.router.add_route(method, path, door.handler(declared, act))
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()
