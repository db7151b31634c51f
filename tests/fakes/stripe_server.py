"""A Stripe of one's own: stateful, over HTTP, for the real SDK. A fake: the real one is not reachable in tests.

It holds sessions, payments, refunds, disputes, accounts and balances; keeps idempotency keys as Stripe does (the answer
of the first request, a failure too); refuses parameters the SDK does not declare; and fails on demand. Payers act
through its methods, which stand for Stripe's page and for banks. What happened is in `events`; `deliveries` signs it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Literal

from aiohttp import web
from stripe import WebhookSignature, params
from stripe.params import checkout

from tests.fakes.stripe_params import BadParameter, check, nested

Fault = Literal["429", "500", "500 after", "timeout after", "cut", "409", "401"]
Thing = dict[str, Any]
#: Cards of the test, as on Stripe's page.
APPROVED, DECLINED, SECURE = "4242424242424242", "4000000000000002", "4000002500003155"
#: How deep an object may be asked for along its ids.
EXPAND_DEPTH = 4
#: Objects by the first word of their ids.
FOLDERS = {"cs": "sessions", "pi": "intents", "ch": "charges", "txn": "balance", "re": "refunds", "dp": "disputes",
           "acct": "accounts", "tr": "transfers", "trr": "reversals"}  # fmt: skip
SMALLEST, DISPUTE_FEE = 50, 1500


class Refusal(Exception):
    """An answer of Stripe's that is an error."""

    def __init__(self, status: int, type: str, words: str, **others: Any) -> None:
        super().__init__(words)
        self.status, self.body = status, {"error": {"type": type, "message": words, **others}}


class StripeServer:
    """The state, and what payers, banks and sellers do to it."""

    def __init__(self) -> None:
        self.key, self.url = "sk_test_1", ""
        self.folders: dict[str, dict[str, Thing]] = {name: {} for name in FOLDERS.values()}
        self.kept: dict[str, tuple[str, int, Thing]] = {}
        self.events: list[Thing] = []
        self.faults: list[Fault] = []
        #: Called once, when the next request that writes has come and is not looked at yet.
        self.meanwhile: Callable[[], Any] | None = None
        self.clock: Callable[[], int] = lambda: 1_790_000_000
        #: What the platform has to pay out; as much as is asked for without it.
        self.funds: int | None = None
        self._numbers = itertools.count(1)

    # What is asked for by HTTP: see ROUTES.

    def create_session(self, values: Thing) -> Thing:
        """POST /v1/checkout/sessions."""
        intent = values.get("payment_intent_data", {})
        lines = values.get("line_items", {}).values()
        amount = sum(int(line["price_data"]["unit_amount"]) * int(line["quantity"]) for line in lines)
        currency = next(iter(lines))["price_data"]["currency"]
        if amount < SMALLEST:
            raise Refusal(400, "invalid_request_error", "Amount must be at least 50.", code="amount_too_small")
        if currency != currency.lower() or currency == "xts":
            raise Refusal(400, "invalid_request_error", f"Invalid currency: {currency}.", code="currency_invalid")
        destination = intent.get("transfer_data", {}).get("destination")
        if destination:
            self.of("accounts", destination)
            if intent.get("application_fee_amount") == "0":
                raise Refusal(400, "invalid_request_error", "A fee is above 0.", param="application_fee_amount")
        elif "application_fee_amount" in intent:
            raise Refusal(400, "invalid_request_error", "A fee needs a destination.", param="application_fee_amount")
        made = self._made("cs", "checkout.session", status="open", payment_status="unpaid", amount_total=amount,
                          currency=currency, payment_intent=None, mode=values["mode"],
                          client_reference_id=values.get("client_reference_id"))  # fmt: skip
        made["url"], made["asked"] = f"{self.url}/pay/{made['id']}", intent
        return made

    def expire_session(self, session: Thing) -> Thing:
        """POST /v1/checkout/sessions/{id}/expire."""
        if session["status"] != "open":
            raise Refusal(400, "invalid_request_error", "Only open sessions can be expired.")
        session |= {"status": "expired", "url": None}
        if session["payment_intent"]:
            self._end(self.of("intents", session["payment_intent"]))
        self._tell("checkout.session.expired", session)
        return session

    def capture(self, intent: Thing) -> Thing:
        """POST /v1/payment_intents/{id}/capture."""
        self._only(intent, "requires_capture")
        self._take(intent)
        return intent

    def cancel(self, intent: Thing) -> Thing:
        """POST /v1/payment_intents/{id}/cancel."""
        self._only(intent, "requires_capture", "requires_payment_method", "requires_action")
        self._end(intent)
        return intent

    def refund(self, values: Thing) -> Thing:
        """POST /v1/refunds."""
        intent = self.of("intents", values["payment_intent"])
        charge = self.of("charges", intent["latest_charge"] or "ch_none")
        amount = int(values.get("amount", charge["amount"] - charge["amount_refunded"]))
        if not charge["captured"] or charge["amount"] == charge["amount_refunded"]:
            code = "charge_already_refunded" if charge["captured"] else "payment_intent_unexpected_state"
            raise Refusal(400, "invalid_request_error", "This charge cannot be refunded.", code=code)
        if amount <= 0 or amount > charge["amount"] - charge["amount_refunded"]:
            raise Refusal(400, "invalid_request_error", "Refund amount is greater than what is left.", param="amount")
        seller, fee = charge["destination"], charge["application_fee_amount"] or 0
        if not seller and ("reverse_transfer" in values or "refund_application_fee" in values):
            raise Refusal(400, "invalid_request_error", "There is no transfer to reverse.", param="reverse_transfer")
        if not fee and "refund_application_fee" in values:
            raise Refusal(400, "invalid_request_error", "There is no fee to refund.", param="refund_application_fee")
        if values.get("reverse_transfer") == "true":
            self._reverse(self.of("transfers", charge["transfer"]), amount)
        charge["amount_refunded"] += amount
        if seller and values.get("refund_application_fee") == "true":
            self.of("accounts", seller)["balance"] += amount * fee // charge["amount"]
        made = self._made("re", "refund", amount=amount, payment_intent=intent["id"], charge=charge["id"],
                          metadata=values.get("metadata", {}), status="succeeded")  # fmt: skip
        self._tell("refund.created", made)
        self._tell("charge.refunded", charge)
        return made

    def reverse(self, transfer: Thing, values: Thing) -> Thing:
        """POST /v1/transfers/{id}/reversals."""
        amount = int(values.get("amount", transfer["amount"] - transfer["amount_reversed"]))
        if amount > self.of("accounts", transfer["destination"])["balance"]:
            words = "The account holds less than that."
            raise Refusal(400, "invalid_request_error", words, code="balance_insufficient")
        self._reverse(transfer, amount)
        return self._made("trr", "transfer_reversal", amount=amount, transfer=transfer["id"],
                          metadata=values.get("metadata", {}))  # fmt: skip

    def create_account(self, values: Thing) -> Thing:
        """POST /v1/accounts."""
        if values.get("country") == "KP":
            raise Refusal(400, "invalid_request_error", "Country is not supported.", param="country")
        return self._made("acct", "account", charges_enabled=False, payouts_enabled=False, country=values["country"],
                          metadata=values.get("metadata", {}), balance=0, controller=values["controller"],
                          requirements={"currently_due": ["individual.id_number", "external_account"]})  # fmt: skip

    def create_link(self, values: Thing) -> Thing:
        """POST /v1/account_links."""
        self.of("accounts", values["account"])
        return {
            "object": "account_link",
            "created": 1,
            "url": f"{self.url}/onboard/{values['account']}/{self._number()}",
        }

    def transfer(self, values: Thing) -> Thing:
        """POST /v1/transfers."""
        account, amount = self.of("accounts", values["destination"]), int(values["amount"])
        if not account["payouts_enabled"]:
            words = "Your destination account needs to have at least one of the following capabilities enabled."
            raise Refusal(400, "invalid_request_error", words, code="insufficient_capabilities_for_transfer")
        if self.funds is not None and amount > self.funds:
            words = "You have insufficient available funds in your Stripe account."
            raise Refusal(400, "invalid_request_error", words, code="balance_insufficient")
        self.funds = None if self.funds is None else self.funds - amount
        account["balance"] += amount
        return self._made("tr", "transfer", amount=amount, amount_reversed=0, currency=values["currency"],
                          destination=account["id"], transfer_group=values.get("transfer_group"),
                          metadata=values.get("metadata", {}))  # fmt: skip

    def listed(self, folder: str, values: Thing) -> Thing:
        """GET of a list, the newest first."""
        names = ("payment_intent", "transfer", "transfer_group")
        about = {name: values[name] for name in names if name in values}
        made = {name: int(value) for name, value in values.get("created", {}).items()}
        found = [
            one
            for one in reversed(self.folders[folder].values())
            if about.items() <= one.items() and made.get("gte", 0) <= one["created"] < made.get("lt", 1 << 40)
        ]
        ids = [one["id"] for one in found]
        found = found[ids.index(values["starting_after"]) + 1 :] if "starting_after" in values else found
        data = found[: int(values.get("limit", 10))]
        return {"object": "list", "data": data, "has_more": len(found) > len(data), "url": f"/v1/{folder}"}

    # What people do.

    def pay(self, session: str, card: str = APPROVED) -> str:
        """The payer types a card into the page; the state of the PaymentIntent then."""
        page = self.of("sessions", session)
        assert page["status"] == "open", f"the page is {page['status']}"
        intent = self._intent_of(page)
        if card == DECLINED:
            intent |= {
                "status": "requires_payment_method",
                "last_payment_error": {"message": "Your card was declined."},
            }
            self._tell("payment_intent.payment_failed", intent)
        elif card == SECURE:
            intent["status"] = "requires_action"
            self._tell("payment_intent.requires_action", intent)
        else:
            self._approve(page, intent)
        return str(intent["status"])

    def authenticate(self, session: str, *, passed: bool) -> str:
        """The payer answers the bank's question."""
        page = self.of("sessions", session)
        self._only(self._intent_of(page), "requires_action")
        return self.pay(session, APPROVED if passed else DECLINED)

    def charge(self, amount: int) -> str:
        """Somebody charges a card in Stripe's dashboard, past us; the PaymentIntent."""
        page = {"payment_intent": None, "amount_total": amount, "currency": "usd", "asked": {}, "object": "page"}
        self._approve(page, self._intent_of(page))
        return str(page["payment_intent"])

    def dispute(self, session: str) -> str:
        """The payer's bank takes the payment back; the dispute."""
        intent = self._intent_of(self.of("sessions", session))
        charge = self.of("charges", intent["latest_charge"])
        charge["disputed"] = True
        made = self._made("dp", "dispute", amount=charge["amount"] - charge["amount_refunded"], status="needs_response",
                          payment_intent=intent["id"], charge=charge["id"],
                          balance_transactions=[{"fee": DISPUTE_FEE, "currency": charge["currency"]}])  # fmt: skip
        self._tell("charge.dispute.created", made)
        return str(made["id"])

    def close_dispute(self, dispute: str, *, won: bool) -> None:
        """The bank decides."""
        found = self.of("disputes", dispute)
        found["status"] = "won" if won else "lost"
        if won:
            found["balance_transactions"].append({"fee": -DISPUTE_FEE, "currency": "usd"})
        self._tell("charge.dispute.closed", found)

    def onboard(self, account: str) -> None:
        """The seller told Stripe everything."""
        found = self.of("accounts", account)
        found |= {"charges_enabled": True, "payouts_enabled": True, "requirements": {"currently_due": []}}
        self._tell("account.updated", found)

    def fail(self, *faults: Fault) -> None:
        """Fail at the next requests that write, one after another."""
        self.faults += faults

    def deliveries(
        self, secret: str, *, shuffled: random.Random | None = None, at: int | None = None
    ) -> list[tuple[dict[str, str], bytes]]:
        """All events as webhooks (headers, body), each signed and sent twice, in any order, at `at` or now."""
        bodies = [json.dumps(event) for event in self.events]
        sent = [
            ({"stripe-signature": WebhookSignature.generate_signature_header(body, secret, at)}, body.encode())
            for body in bodies * 2
        ]
        if shuffled:
            shuffled.shuffle(sent)
        return sent

    def of(self, folder: str, id: str) -> Thing:
        """An object. Refuses with resource_missing."""
        if id not in self.folders[folder]:
            raise Refusal(404, "invalid_request_error", f"No such {folder[:-1]}: '{id}'", code="resource_missing")
        return self.folders[folder][id]

    def shown(self, thing: Thing, paths: list[str]) -> Thing:
        """A copy as the API shows it, with ids along `paths` replaced by what they name."""
        copy = {name: value for name, value in thing.items() if name not in ("asked", "balance")}
        if copy["object"] == "list":
            within = [path.removeprefix("data.") for path in paths]
            return {**copy, "data": [self.shown(one, within) for one in copy["data"]]}
        below: dict[str, list[str]] = {}
        for path in paths:
            first, _, rest = path.partition(".")
            if first not in copy:
                raise Refusal(400, "invalid_request_error", f"This property cannot be expanded ({path}).")
            below.setdefault(first, []).extend([rest] if rest else [])
        for first, rests in below.items():
            if isinstance(copy[first], str):
                folder = FOLDERS[copy[first].partition("_")[0]]
                copy[first] = self.shown(self.folders[folder][copy[first]], rests)
        return copy

    def _number(self) -> int:
        return next(self._numbers)

    def _made(self, prefix: str, object: str, **values: Any) -> Thing:
        made = {"id": f"{prefix}_{self._number():06}", "object": object, "created": self.clock(), **values}
        self.folders[FOLDERS[prefix]][made["id"]] = made
        return made

    def _tell(self, type: str, thing: Thing) -> None:
        data = {"object": json.loads(json.dumps(self.shown(thing, [])))}
        event = {"id": f"evt_{self._number():06}", "object": "event", "type": type, "created": self.clock()}
        self.events.append({**event, "data": data})

    def _intent_of(self, page: Thing) -> Thing:
        """The session's PaymentIntent, which is made when the payer first tries."""
        if page["payment_intent"] is None:
            asked = page["asked"]
            made = self._made(
                "pi",
                "payment_intent",
                status="requires_payment_method",
                amount=page["amount_total"],
                currency=page["currency"],
                latest_charge=None,
                last_payment_error=None,
                metadata=asked.get("metadata", {}),
                transfer_data=asked.get("transfer_data"),
                application_fee_amount=int(asked.get("application_fee_amount", 0)) or None,
            )
            made["asked"], page["payment_intent"] = page["asked"], made["id"]
            self._tell("payment_intent.created", made)
        return self.of("intents", page["payment_intent"])

    def _approve(self, page: Thing, intent: Thing) -> None:
        asked, data = intent["asked"], intent["transfer_data"] or {}
        charge = self._made(
            "ch",
            "charge",
            amount=intent["amount"],
            currency=intent["currency"],
            captured=False,
            amount_refunded=0,
            disputed=False,
            payment_intent=intent["id"],
            balance_transaction=None,
            transfer=None,
            destination=data.get("destination"),
            application_fee_amount=intent["application_fee_amount"],
        )
        intent |= {"latest_charge": charge["id"], "last_payment_error": None}
        if asked.get("capture_method") == "manual":
            intent["status"] = "requires_capture"
            self._tell("payment_intent.amount_capturable_updated", intent)
        else:
            self._take(intent)
            page["payment_status"] = "paid"
        page |= {"status": "complete", "url": None}
        self._tell("checkout.session.completed", page)

    def _take(self, intent: Thing) -> None:
        charge = self.of("charges", intent["latest_charge"])
        fee = -(-charge["amount"] * 290 // 10_000) + 30
        details = [{"amount": fee, "type": "stripe_fee", "currency": charge["currency"]}]
        entry = self._made("txn", "balance_transaction", fee=fee, currency=charge["currency"], fee_details=details)
        charge |= {"captured": True, "balance_transaction": entry["id"]}
        intent["status"] = "succeeded"
        if charge["destination"]:
            paid_on = charge["amount"] - (charge["application_fee_amount"] or 0)
            self.of("accounts", charge["destination"])["balance"] += paid_on
            made = self._made("tr", "transfer", amount=charge["amount"], amount_reversed=0,
                              currency=charge["currency"], destination=charge["destination"],
                              transfer_group=f"group_{charge['id']}", metadata={})  # fmt: skip
            charge["transfer"] = made["id"]
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.succeeded", intent)

    def _reverse(self, transfer: Thing, amount: int) -> None:
        """Takes it from the account; what is refunded takes an account below zero."""
        if not 0 < amount <= transfer["amount"] - transfer["amount_reversed"]:
            raise Refusal(400, "invalid_request_error", "Less than that of the transfer is left.", param="amount")
        transfer["amount_reversed"] += amount
        self.of("accounts", transfer["destination"])["balance"] -= amount

    def _end(self, intent: Thing) -> None:
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent)

    def _only(self, intent: Thing, *states: str) -> None:
        if intent["status"] not in states:
            words = f"This PaymentIntent has a status of {intent['status']}."
            raise Refusal(400, "invalid_request_error", words, code="payment_intent_unexpected_state")


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
            fault = self.server.faults.pop(0) if request.method == "POST" and self.server.faults else None
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
