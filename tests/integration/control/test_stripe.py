"""Stripe by its own SDK: sellers' accounts, failures on the way, keys that change. The other side is a fake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from gateway.control.payments.providers import stripe_client as module
from gateway.control.payments.providers.base import SELLER_SHORT, SellerAccount, Tariff
from gateway.control.payments.providers.stripe import Stripe
from shared.errors import BadWebhook, Conflict, Invalid, KeyReused, Misconfigured, NotFound, ProviderUnavailable
from shared.metrics import PROVIDER_FAILURES
from shared.secrets import STRIPE_KEY, STRIPE_WEBHOOK
from tests.fakes.stripe_server import Fault
from tests.support.providers import OLD_SECRET, SECRET, FixedSecrets, StripeHands, order, stripe_hands

HOME = "https://usher.example/studio"


@pytest.fixture
async def hands() -> AsyncIterator[StripeHands]:
    """Stripe."""
    async with stripe_hands() as made:
        yield made


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deadline that a test can wait for, and no second try."""
    monkeypatch.setattr(module, "CALL_S", 0.3)
    monkeypatch.setattr(module, "RETRIES", 0)


def money(hands: StripeHands, account: str) -> int:
    """What a seller's account holds."""
    return int(hands.server.of("accounts", account)["balance"])


async def seller(hands: StripeHands) -> str:
    """A seller's account that may take money."""
    made = await hands.provider.open_account("slr_1", "US")
    hands.server.onboard(made)
    return made


async def test_seller_tells_stripe_who_they_are_on_its_page(hands: StripeHands) -> None:
    made = await hands.provider.open_account("slr_1", "US")
    assert await hands.provider.open_account("slr_1", "US") == made
    before = await hands.provider.account(made)
    assert before == SellerAccount(made, False, False, ("individual.id_number", "external_account"))
    links = [await hands.provider.onboarding_url(made, return_url=HOME, refresh_url=HOME) for _ in range(2)]
    assert links[0] != links[1] and all(link.startswith(hands.server.url) for link in links)
    hands.server.onboard(made)
    assert await hands.provider.account(made) == SellerAccount(made, True, True)
    (event,) = [one for webhook in await hands.webhooks() for one in hands.provider.events(*webhook)][:1]
    assert (event.kind, event.provider_ref) == ("account", made)


async def test_account_of_a_country_or_a_name_that_stripe_does_not_know_is_refused(hands: StripeHands) -> None:
    with pytest.raises(Invalid):
        await hands.provider.open_account("slr_1", "KP")
    with pytest.raises(NotFound):
        await hands.provider.account("acct_none")
    with pytest.raises(NotFound):
        await hands.provider.start(order(seller_account="acct_none", fee_amount=125))


async def test_sellers_part_goes_to_their_account_and_comes_back_from_there_with_the_fee(hands: StripeHands) -> None:
    account = await seller(hands)
    ref = (await hands.provider.start(order(seller_account=account, fee_amount=125))).provider_ref
    await hands.pay(ref, "approve")
    assert money(hands, account) == 1125
    await hands.provider.refund(ref, 500, "k1")
    assert money(hands, account) == 675
    await hands.provider.refund(ref, 750, "k2")
    assert money(hands, account) == 0


async def test_sale_without_a_fee_goes_to_the_seller_whole_and_comes_back_whole(hands: StripeHands) -> None:
    account = await seller(hands)
    ref = (await hands.provider.start(order(seller_account=account))).provider_ref
    await hands.pay(ref, "approve")
    assert money(hands, account) == 1250
    await hands.provider.refund(ref, 1250, "k1")
    assert money(hands, account) == 0


async def test_sellers_part_of_a_disputed_payment_is_taken_back_once_where_it_still_is(hands: StripeHands) -> None:
    account = await seller(hands)
    ref = (await hands.provider.start(order(seller_account=account, fee_amount=125))).provider_ref
    with pytest.raises(Conflict):
        await hands.provider.take_back(ref, 1125, "k1")
    await hands.pay(ref, "approve")
    hands.server.of("accounts", account)["balance"] -= 100
    with pytest.raises(Conflict):
        await hands.provider.take_back(ref, 1125, "k1")
    hands.server.of("accounts", account)["balance"] += 100
    hands.server.fail("500 after")
    for _ in range(2):
        await hands.provider.take_back(ref, 1125, "k2")
        hands.server.kept.clear()
    assert money(hands, account) == 0
    assert len(hands.server.folders["reversals"]) == 1
    with pytest.raises(KeyReused):
        await hands.provider.take_back(ref, 1, "k2")
    # The dispute was won and the payment is refunded later: it is not taken from the seller a second time.
    assert (await hands.provider.refund(ref, 1250, "k3")).refunded == 1250
    assert money(hands, account) == 0


@pytest.mark.parametrize(("of_seller", "left"), [(None, 0), (300, 325), (0, 625)])
async def test_refund_after_a_part_was_taken_back_takes_what_is_left_there_or_what_it_is_told(
    hands: StripeHands, of_seller: int | None, left: int
) -> None:
    account = await seller(hands)
    ref = (await hands.provider.start(order(seller_account=account, fee_amount=125))).provider_ref
    await hands.pay(ref, "approve")
    await hands.provider.take_back(ref, 500, "k1")
    hands.server.fail("500 after", "500 after")
    for _ in range(2):
        assert (await hands.provider.refund(ref, 1250, "k2", of_seller=of_seller)).refunded == 1250
        hands.server.kept.clear()
    assert money(hands, account) == left


async def test_refund_that_an_account_does_not_hold_gives_nothing_back_until_it_is_asked_of_the_platform(
    hands: StripeHands,
) -> None:
    hands.server.lends, account = False, await seller(hands)
    ref = (await hands.provider.start(order(seller_account=account, fee_amount=125))).provider_ref
    await hands.pay(ref, "approve")
    for key in ("k1", "k2"):
        hands.server.of("accounts", account)["balance"] = 100
        with pytest.raises(Conflict) as short:
            await hands.provider.refund(ref, 500, key, of_seller=450)
        assert short.value.code == SELLER_SHORT
        hands.server.funds = 400
        with pytest.raises(ProviderUnavailable):
            await hands.provider.refund(ref, 500, key, of_seller=0)
        hands.server.funds = None
        hands.server.kept.clear()
        await hands.provider.refund(ref, 500, key, of_seller=0)
        assert money(hands, account) == 100
    assert (await hands.provider.find(ref)).refunded == 1000


@pytest.mark.parametrize("of_seller", [None, 50])
async def test_refund_that_breaks_off_once_the_seller_gave_their_part_takes_it_once(
    hands: StripeHands, of_seller: int | None
) -> None:
    account = await seller(hands)
    ref = (await hands.provider.start(order(amount=100, seller_account=account))).provider_ref
    await hands.pay(ref, "approve")
    await hands.provider.refund(ref, 50, "k1", of_seller=0)
    hands.server.funds = 0
    with pytest.raises(ProviderUnavailable):
        await hands.provider.refund(ref, 50, "k2", of_seller=of_seller)
    assert money(hands, account) == 50
    hands.server.funds = None
    hands.server.kept.clear()
    # Now as much was taken back there as was given back, by chance.
    assert (await hands.provider.refund(ref, 50, "k2", of_seller=of_seller)).refunded == 100
    assert money(hands, account) == 50


async def test_last_digit_of_a_currency_with_three_decimals_cannot_be_charged(hands: StripeHands) -> None:
    with pytest.raises(Invalid, match="last digit"):
        await hands.provider.start(order(amount=1255, currency="KWD"))
    assert (await hands.provider.start(order(amount=1250, currency="KWD"))).url


@pytest.mark.parametrize("fault", ["429", "500", "409", "401", "cut", "500 after", "timeout after"])
async def test_start_that_fails_is_one_payment_when_it_is_asked_for_again(
    hands: StripeHands, fault: Fault, hasty: None
) -> None:
    failures = PROVIDER_FAILURES.labels("stripe")
    before = failures._value.get()
    hands.provider._made = hands.provider._make(hands.server.key)
    hands.server.fail(fault)
    with pytest.raises(ProviderUnavailable):
        await hands.provider.start(order())
    assert failures._value.get() == before + 1
    started = await hands.provider.start(order())
    assert await hands.provider.start(order()) == started
    # What a lost answer left behind has an address that nobody was ever told.
    made = len(hands.server.folders["sessions"])
    assert made == (2 if fault == "500 after" else 1)


@pytest.mark.parametrize("fault", ["429", "500", "409", "401", "cut", "500 after", "timeout after"])
async def test_refund_that_fails_gives_back_once_when_it_is_asked_for_again(
    hands: StripeHands, fault: Fault, hasty: None
) -> None:
    hands.provider._made = hands.provider._make(hands.server.key)
    ref = (await hands.provider.start(order())).provider_ref
    await hands.pay(ref, "approve")
    hands.server.fail(fault)
    with pytest.raises(ProviderUnavailable):
        await hands.provider.refund(ref, 400, "k1")
    assert (await hands.provider.refund(ref, 400, "k1")).refunded == 400
    assert len(hands.server.folders["refunds"]) == 1


async def test_stripe_that_does_not_answer_keeps_nobody_waiting_for_a_while(
    hands: StripeHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(module, "monotonic", lambda: now[0])
    with monkeypatch.context() as silent:
        silent.setattr(module, "CALL_S", 0)
        for _ in range(module.SILENT):
            with pytest.raises(ProviderUnavailable):
                await hands.provider.start(order())
    with pytest.raises(ProviderUnavailable):
        await hands.provider.start(order())
    now[0] += module.AWAY_S
    assert (await hands.provider.start(order())).url


async def test_refund_is_known_long_after_stripe_forgot_its_idempotency_key(hands: StripeHands) -> None:
    ref = (await hands.provider.start(order())).provider_ref
    await hands.pay(ref, "approve")
    await hands.provider.refund(ref, 400, "k1")
    hands.server.kept.clear()
    assert (await hands.provider.refund(ref, 400, "k1")).refunded == 400


async def test_capture_whose_answer_was_lost_is_made_once(hands: StripeHands, hasty: None) -> None:
    hands.provider._made = hands.provider._make(hands.server.key)
    ref = (await hands.provider.start(order(hold=True))).provider_ref
    await hands.pay(ref, "approve")
    hands.server.fail("500 after")
    with pytest.raises(ProviderUnavailable):
        await hands.provider.capture(ref)
    assert (await hands.provider.capture(ref)).state == "paid"
    assert len(hands.server.folders["balance"]) == 1


async def test_payer_or_another_who_was_quicker_makes_a_conflict(hands: StripeHands) -> None:
    server = hands.server
    ref = (await hands.provider.start(order())).provider_ref
    server.meanwhile = lambda: server.pay(ref)
    with pytest.raises(Conflict):
        await hands.provider.void(ref)
    intent = server.of("sessions", ref)["payment_intent"]
    server.meanwhile = lambda: server.refund({"payment_intent": intent, "amount": "900"})
    with pytest.raises(Conflict):
        await hands.provider.refund(ref, 500, "k1")
    assert (await hands.provider.find(ref)).refunded == 900
    held = (await hands.provider.start(order("pch_2", hold=True))).provider_ref
    await hands.pay(held, "approve")
    server.meanwhile = lambda: server.cancel(server.of("intents", server.of("sessions", held)["payment_intent"]))
    with pytest.raises(Conflict):
        await hands.provider.capture(held)


async def test_sdk_tries_again_by_itself_with_the_same_key(hands: StripeHands) -> None:
    hands.server.fail("500")
    started = await hands.provider.start(order())
    assert len(hands.server.folders["sessions"]) == 1
    assert started.provider_ref in hands.server.folders["sessions"]


async def test_webhooks_of_both_secrets_are_taken_while_they_change(hands: StripeHands) -> None:
    await hands.pay((await hands.provider.start(order())).provider_ref, "approve")
    for secret in (SECRET, OLD_SECRET):
        assert [one for sent in hands.server.deliveries(secret) for one in hands.provider.events(*sent)]
    secrets = hands.provider._secrets
    assert isinstance(secrets, FixedSecrets)
    secrets.values[STRIPE_WEBHOOK] = SECRET
    with pytest.raises(BadWebhook):
        hands.provider.events(*hands.server.deliveries(OLD_SECRET)[0])


async def test_key_that_changes_is_used_at_once(hands: StripeHands) -> None:
    secrets = hands.provider._secrets
    assert isinstance(secrets, FixedSecrets)
    hands.server.key = "sk_test_2"
    with pytest.raises(ProviderUnavailable):
        await hands.provider.start(order())
    secrets.values[STRIPE_KEY] = "sk_test_2"
    assert (await hands.provider.start(order())).url


async def test_fake_refuses_what_the_sdk_does_not_declare(hands: StripeHands) -> None:
    form = {
        "mode": "payment",
        "success_url": HOME,
        "line_items[0][quantity]": "1",
        "line_items[0][price_data][currency]": "usd",
        "line_items[0][price_data][unit_amount]": "500",
    }
    wrong = [
        {"payment_method_types[0]": "card"},
        {"line_items[0][price_data][colour]": "red"},
        {"payment_intent_data[transfer_data][to]": "acct_1"},
        {"line_items[0][quantity]": "1.5"},
        {"api_key": "sk"},
    ]
    headers = {"Authorization": f"Bearer {hands.server.key}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for more, status in [({}, 200), *((one, 400) for one in wrong)]:
            answer = await http.post(f"{hands.server.url}/v1/checkout/sessions", data={**form, **more})
            assert answer.status == status, more
    assert len(hands.server.folders["sessions"]) == 1


async def test_fake_keeps_the_answer_of_a_key(hands: StripeHands) -> None:
    started = await asyncio.gather(*(hands.provider.start(order()) for _ in range(5)))
    assert len({one.provider_ref for one in started}) == len(hands.server.folders["sessions"]) == 1


async def test_stripe_without_its_secrets_does_not_open() -> None:
    class Nothing(FixedSecrets):
        def read(self, name: str) -> bytes:
            raise Misconfigured(f"The secret {name} is missing.")

    with pytest.raises(Misconfigured, match="stripe-key"):
        Stripe(Nothing(), tariff=Tariff(290))
