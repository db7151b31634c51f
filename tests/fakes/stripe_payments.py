"""Payments of the Stripe of the tests: sessions, charges, refunds and disputes, as payers and banks move them."""

from __future__ import annotations

from tests.fakes.stripe_connect import StripeConnect
from tests.fakes.stripe_objects import Refusal, Thing

#: Cards of the test, as on Stripe's page.
APPROVED, DECLINED, SECURE = "4242424242424242", "4000000000000002", "4000002500003155"
SMALLEST, DISPUTE_FEE = 50, 1500


class StripePayments(StripeConnect):
    """Money from payers, and back to them."""

    # What is asked for by HTTP: see ROUTES of the server.

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
        is_reversed = values.get("reverse_transfer") == "true"
        holds = self.of("accounts", seller)["balance"] if is_reversed else self.funds
        if is_reversed and self.lends:
            holds = None
        if holds is not None and amount - (amount * fee // charge["amount"] if is_reversed else 0) > holds:
            words = "There are insufficient funds for this refund."
            raise Refusal(400, "invalid_request_error", words, code="insufficient_funds")
        if is_reversed:
            self._reverse(self.of("transfers", charge["transfer"]), amount)
        charge["amount_refunded"] += amount
        if seller and values.get("refund_application_fee") == "true":
            given = amount * fee // charge["amount"]
            self.of("fees", charge["application_fee"])["amount_refunded"] += given
            self.of("accounts", seller)["balance"] += given
        made = self._made("re", "refund", amount=amount, payment_intent=intent["id"], charge=charge["id"],
                          metadata=values.get("metadata", {}), status="succeeded")  # fmt: skip
        self._tell("refund.created", made)
        self._tell("charge.refunded", charge)
        return made

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
        page: Thing = {"payment_intent": None, "amount_total": amount, "currency": "usd", "asked": {}, "object": "page"}
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
            application_fee=None,
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
            if fee_amount := charge["application_fee_amount"]:
                taken = self._made("fee", "application_fee", amount=fee_amount, amount_refunded=0, charge=charge["id"])
                charge["application_fee"] = taken["id"]
        self._tell("charge.succeeded", charge)
        self._tell("payment_intent.succeeded", intent)

    def _end(self, intent: Thing) -> None:
        intent["status"] = "canceled"
        self._tell("payment_intent.canceled", intent)

    def _only(self, intent: Thing, *states: str) -> None:
        if intent["status"] not in states:
            words = f"This PaymentIntent has a status of {intent['status']}."
            raise Refusal(400, "invalid_request_error", words, code="payment_intent_unexpected_state")
