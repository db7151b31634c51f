"""Webhooks as values: signatures by the specification, tries over a day, and what is told of which event."""

from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from msgspec.structs import replace

from gateway.control.webhooks.model import (
    DAY_S,
    Answer,
    Delivery,
    Endpoint,
    after,
    body_of,
    draw_secret,
    headers_of,
    over,
    sign,
    told_of,
)
from shared.events import Envelope

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PAID = {
    **{"purchase": "pur_1", "kind": "title", "rail": "wallet", "amount": 499, "currency": "USD"},
    **{"title": "ttl_1", "seller": "slr_1", "txn": 7},
}


def endpoint(**about: object) -> Endpoint:
    made = Endpoint(id="whe_1", seller="slr_1", url="https://x.example", types=[], secret=draw_secret(), created_at=NOW)
    return replace(made, **about)


def delivery(**about: object) -> Delivery:
    made = Delivery(id="msg_1", endpoint="whe_1", event="e", type="purchase", body="{}", due_at=NOW, created_at=NOW)
    return replace(made, **about)


def event(type: str, **data: object) -> Envelope:
    return Envelope("evt_1", type, NOW, "x", data)


def test_signature_is_that_of_the_specifications_example() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    body = '{"test": 2432232314}'
    assert sign(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body=body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_secret_is_of_256_bits_and_another_each_time() -> None:
    one, other = draw_secret(), draw_secret()
    assert one != other and len(base64.b64decode(one.removeprefix("whsec_"), validate=True)) == 32


def test_both_secrets_sign_until_the_old_one_is_over() -> None:
    old = draw_secret()
    changed = endpoint(old_secret=old, old_until=NOW + timedelta(days=1))
    for now, secrets in ((NOW, [changed.secret, old]), (NOW + timedelta(days=1), [changed.secret])):
        headers = headers_of(changed, "msg_1", "{}", now=now)
        said = f"msg_1.{int(now.timestamp())}.{{}}".encode()
        keys = [base64.b64decode(secret.removeprefix("whsec_")) for secret in secrets]
        made = [base64.b64encode(hmac.new(key, said, hashlib.sha256).digest()).decode() for key in keys]
        assert headers["webhook-signature"].split() == [f"v1,{one}" for one in made]


def test_tries_end_a_day_after_the_first_and_then_it_is_dead() -> None:
    now, one, waits = NOW, delivery(), []
    while one.state == "waiting":
        assert one.due_at is not None and one.due_at >= now
        now = one.due_at
        one = after(replace(one, attempts=one.attempts + 1), Answer(500, "It answered 500."), now)
        waits.append(one.due_at - now if one.due_at else None)
    assert now - NOW == timedelta(seconds=DAY_S) and one.attempts == len(waits) == 9
    assert waits[:3] == [timedelta(seconds=s) for s in (5, 30, 120)] and one.done_at == now and one.status == 500


@pytest.mark.parametrize(("status", "state"), [(200, "sent"), (204, "sent"), (299, "sent"), (302, "waiting"),
                                               (199, "waiting"), (400, "waiting"), (0, "waiting")])  # fmt: skip
def test_delivery_is_sent_when_it_was_answered_with_2xx(status: int, state: str) -> None:
    assert after(delivery(attempts=1), Answer(status), NOW).state == state


def test_endpoint_is_over_when_it_says_so_or_takes_nothing_for_three_days() -> None:
    long_ago = endpoint(failing_since=NOW - timedelta(days=3))
    assert over(long_ago, [Answer(500)], NOW) and not over(long_ago, [Answer(500), Answer(200)], NOW)
    assert not over(long_ago, [], NOW)
    assert over(endpoint(), [Answer(410)], NOW) and not over(endpoint(), [Answer(500)], NOW)
    assert not over(endpoint(failing_since=NOW - timedelta(days=2)), [Answer(500)], NOW)


def test_events_are_told_as_ids_and_amounts() -> None:
    told = told_of(event("payment.paid", **PAID))
    assert told and (told.type, told.seller) == ("purchase", "slr_1")
    assert told.data == {
        **{"purchase": "pur_1", "title": "ttl_1", "seller": "slr_1", "rail": "wallet"},
        **{"amount": 499, "currency": "USD", "decimals": 2},
    }
    refund = {name: value for name, value in PAID.items() if name not in ("kind", "rail")}
    assert (back := told_of(event("payment.refunded", **refund))) and back.type == "refund"
    payout = {"withdrawal": "wdr_1", "seller": "slr_1", "state": "paid", "amount": 2**60, "currency": "IDR", "txn": 1}
    assert (paid := told_of(event("payout.changed", **payout))) and paid.data["amount"] == str(2**60)
    ready = told_of(event("transcode.completed", job="job_1", title="ttl_1", version="v1", edition="e1"))
    assert ready and (ready.type, ready.seller, ready.data) == (
        "title.ready",
        None,
        {"title": "ttl_1", "version": "v1"},
    )


def test_dispute_is_told_with_what_became_of_it_and_its_loss_once() -> None:
    of_books = {name: value for name, value in PAID.items() if name not in ("kind", "rail")}
    facts = {"purchase": "pur_1", "amount": 499, "currency": "USD", "decimals": 2}
    for type, state in (("payment.disputed", "opened"), ("payment.dispute_won", "won")):
        told = told_of(event(type, **of_books))
        assert told and (told.type, told.seller, told.once) == ("dispute", "slr_1", "")
        assert told.data == {**facts, "title": "ttl_1", "seller": "slr_1", "state": state}
    charge = {"order": "pur_1", "amount": 600, "currency": "USD", "disputed": 699, "lost": 699, "state": "paid"}
    charge["newly_lost"] = 499
    lost = told_of(event("payment.changed", **charge))
    assert lost and (lost.type, lost.seller, lost.data) == ("dispute", None, {**facts, "state": "lost"})
    again = told_of(event("payment.changed", **charge, fee=15))
    assert again and again.once == lost.once != ""
    assert told_of(event("payment.changed", **{**charge, "newly_lost": 0})) is None
    assert told_of(event("payment.disputed", **{**of_books, "title": None, "seller": None})) is None


def test_of_other_events_nothing_is_told() -> None:
    assert told_of(event("payment.paid", **{**PAID, "kind": "top_up", "title": None, "seller": None})) is None
    assert told_of(event("payment.refunded", **{**PAID, "title": None, "seller": None})) is None
    assert told_of(event("auth.register", principal="usr_1")) is None


def test_body_says_type_time_and_data() -> None:
    assert msgspec.json.decode(body_of("test", NOW, {"a": 1})) == {
        "type": "test", "timestamp": "2026-03-01T12:00:00Z", "data": {"a": 1},
    }  # fmt: skip
