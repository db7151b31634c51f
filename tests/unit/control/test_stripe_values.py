"""Stripe's objects as ours: each state, each error, and parameters that the SDK declares."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
import stripe
from stripe._encode import _api_encode
from stripe.params import RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from gateway.control.payments.providers.stripe_values import (
    ApplicationFee,
    BalanceTransaction,
    Dispute,
    DisputeEntry,
    FeeDetail,
    Intent,
    Session,
    StripeCharge,
    Transfer,
    TransferData,
    charge_of,
    error_of,
    intent_of,
    of_seller_now,
    refund_params,
    session_params,
)
from shared.errors import Conflict, Declined, Invalid, KeyReused, NotFound, ProviderUnavailable, UsherError
from tests.fakes.stripe_params import check, nested
from tests.support.providers import order


def session(page: str = "complete", /, **intent: Any) -> Session:
    """A session whose intent is in some state."""
    of = Intent(id="pi_1", **intent) if intent else None
    return Session(id="cs_1", status=page, amount_total=1250, currency="usd", payment_intent=of)


@pytest.mark.parametrize(
    ("found", "state"),
    [
        (session("open"), "open"),
        (session("open", status="requires_payment_method"), "open"),
        (session("open", status="requires_action"), "open"),
        (session("open", status="canceled"), "voided"),
        (session("expired"), "voided"),
        (session("expired", status="requires_payment_method"), "voided"),
        (session("complete", status="processing"), "open"),
        (session("complete", status="succeeded"), "paid"),
        (session("complete", status="requires_capture"), "authorized"),
        (session("complete", status="canceled"), "voided"),
        (session("complete", status="requires_payment_method"), "declined"),
        (session("complete", status="a new one"), "open"),
    ],
)
def test_each_state_of_a_session_is_one_of_ours(found: Session, state: str) -> None:
    assert charge_of(found).state == state


@pytest.mark.parametrize(
    ("status", "taken"),
    [("needs_response", 5), ("under_review", 5), ("lost", 5), ("appeal_under_review", 5), ("won", 0), ("prevented", 0),
     ("warning_needs_response", 0), ("warning_closed", 0), ("a new one", 5)],
)  # fmt: skip
def test_dispute_counts_while_it_holds_the_money(status: str, taken: int) -> None:
    assert charge_of(session(status="succeeded"), [Dispute(5, status)]).disputed == taken


def test_nobody_who_paid_has_no_intent() -> None:
    with pytest.raises(Conflict):
        intent_of(session("open"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (stripe.CardError("no", None, "card_declined"), Declined),
        (stripe.IdempotencyError("no"), KeyReused),
        (stripe.InvalidRequestError("no", None, "resource_missing"), NotFound),
        (stripe.InvalidRequestError("no", None, "charge_already_refunded"), Conflict),
        (stripe.InvalidRequestError("no", None, "amount_too_small"), Invalid),
        (stripe.InvalidRequestError("no", None), Invalid),
        (stripe.RateLimitError("no"), ProviderUnavailable),
        (stripe.AuthenticationError("no"), ProviderUnavailable),
        (stripe.PermissionError("no"), ProviderUnavailable),
        (stripe.APIConnectionError("no"), ProviderUnavailable),
        (stripe.APIError("no"), ProviderUnavailable),
        (stripe.StripeError("no"), ProviderUnavailable),
    ],
)
def test_each_error_of_stripe_is_one_of_ours(error: stripe.StripeError, kind: type[UsherError]) -> None:
    assert type(error_of(error)) is kind


def form(values: Any) -> dict[str, Any]:
    """Parameters as they travel."""
    return nested(urlencode(list(_api_encode(values))))


def test_parameters_are_declared_by_the_sdk() -> None:
    for one in (order(), order(hold=True), order(seller_account="acct_1", fee_amount=125)):
        check(form(session_params(one, descriptor="USHER")), SessionCreateParams)
    plain = session(status="succeeded")
    assert set(refund_params(plain, 5, "k1", in_proportion=False)) == {"payment_intent", "amount", "metadata"}
    passed_on = session(status="succeeded", transfer_data=TransferData("acct_1"), application_fee_amount=125)
    params = refund_params(passed_on, 5, "k1", in_proportion=True)
    check(form(params), RefundCreateParams)
    assert (params["reverse_transfer"], params["refund_application_fee"]) == (True, True)


@pytest.mark.parametrize(
    ("refunded", "reversed", "disputed", "asked", "taken"),
    [
        (0, 0, False, 450, None),
        (0, 0, False, None, None),
        (100, 100, False, 450, None),
        (0, 0, False, 0, 0),
        # A dispute that was won, or a refund that took nothing there: as the books say, or of what is left.
        (0, 1125, True, 0, 0),
        (0, 1125, True, None, 0),
        (0, 500, True, 300, 300),
        (0, 500, True, None, 625),
        (0, 0, True, 450, 450),
        (100, 0, False, 450, 450),
        (1000, 900, True, None, 225),
    ],
)
def test_seller_gives_in_proportion_until_something_else_was_taken_from_their_account(
    refunded: int, reversed: int, disputed: bool, asked: int | None, taken: int | None
) -> None:
    transfer = Transfer("tr_1", amount=1250, amount_reversed=reversed)
    charge = StripeCharge(amount_refunded=refunded, disputed=disputed, transfer=transfer)
    passed_on = {"transfer_data": TransferData("acct_1"), "application_fee_amount": 125}
    found = session(status="succeeded", latest_charge=charge, **passed_on)
    assert of_seller_now(found, 1250 - refunded, asked) == taken
    assert of_seller_now(session(status="succeeded", latest_charge=charge), 5, asked) == 0


def test_disputes_cost_and_cost_nothing_once_they_are_won() -> None:
    balance = BalanceTransaction("usd", [FeeDetail(45, "stripe_fee"), FeeDetail(125, "application_fee")])
    paid = session(status="succeeded", latest_charge=StripeCharge(disputed=True, balance_transaction=balance))
    lost = Dispute(1250, "lost", [DisputeEntry(1500, "usd")])
    won = Dispute(1250, "won", [*lost.balance_transactions, DisputeEntry(-1500, "usd")])
    assert [charge_of(paid, found).fee for found in ([], [lost], [won])] == [45, 1545, 45]


@pytest.mark.parametrize(
    ("reversed", "fee_back", "back"), [(0, None, 0), (500, None, 500), (500, 50, 450), (0, 50, 0), (1250, 125, 1125)]
)
def test_what_came_back_from_a_sellers_account_is_what_was_reversed_less_the_fee_that_they_got_again(
    reversed: int, fee_back: int | None, back: int
) -> None:
    fee = None if fee_back is None else ApplicationFee(fee_back)
    charge = StripeCharge(transfer=Transfer("tr_1", 1250, reversed), application_fee=fee)
    assert charge_of(session(status="succeeded", latest_charge=charge)).reversed == back


def test_same_order_makes_the_same_parameters() -> None:
    assert session_params(order(), descriptor="") == session_params(order(), descriptor="")
    intent = session_params(order(hold=True, seller_account="acct_1", fee_amount=125), descriptor="USHER")[
        "payment_intent_data"
    ]
    assert intent == {
        "description": "A film & <more>",
        "metadata": {"order": "pch_1", "title": "ttl_1"},
        "capture_method": "manual",
        "statement_descriptor_suffix": "USHER",
        "application_fee_amount": 125,
        "transfer_data": {"destination": "acct_1"},
    }
