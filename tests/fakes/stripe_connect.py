"""Stripe Connect in the tests: sellers' accounts, and the transfers to them."""

from __future__ import annotations

from tests.fakes.stripe_objects import Refusal, StripeObjects, Thing


class StripeConnect(StripeObjects):
    """What accounts hold, and who may be paid."""

    def __init__(self) -> None:
        super().__init__()
        #: What the platform has to pay out; as much as is asked for without it.
        self.funds: int | None = None
        #: Whether a refund may take a seller's account below zero.
        self.lends = True

    # What is asked for by HTTP: see ROUTES of the server.

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

    def reverse(self, transfer: Thing, values: Thing) -> Thing:
        """POST /v1/transfers/{id}/reversals."""
        amount = int(values.get("amount", transfer["amount"] - transfer["amount_reversed"]))
        if amount > self.of("accounts", transfer["destination"])["balance"]:
            words = "The account holds less than that."
            raise Refusal(400, "invalid_request_error", words, code="balance_insufficient")
        self._reverse(transfer, amount)
        return self._made("trr", "transfer_reversal", amount=amount, transfer=transfer["id"],
                          metadata=values.get("metadata", {}))  # fmt: skip

    # What people do.

    def onboard(self, account: str) -> None:
        """The seller told Stripe everything."""
        found = self.of("accounts", account)
        found |= {"charges_enabled": True, "payouts_enabled": True, "requirements": {"currently_due": []}}
        self._tell("account.updated", found)

    def _reverse(self, transfer: Thing, amount: int) -> None:
        """Takes it from the account; what is refunded takes an account below zero."""
        if not 0 < amount <= transfer["amount"] - transfer["amount_reversed"]:
            raise Refusal(400, "invalid_request_error", "Less than that of the transfer is left.", param="amount")
        transfer["amount_reversed"] += amount
        self.of("accounts", transfer["destination"])["balance"] -= amount
