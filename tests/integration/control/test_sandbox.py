"""The sandbox's pay page by its routes: test cards, the bank's question, time that passes, and what it refuses."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from gateway.control.payments.providers.base import Provider
from gateway.control.sandbox.model import CARDS
from gateway.control.worker import process
from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import Control, code_of, running_control
from tests.support.providers import SECRET, order

NUMBERS = {card: number for number, card in CARDS.items()}


def provider_of(control: Control) -> Provider:
    """The sandbox."""
    return control.wiring["providers"].named("sandbox")


async def begun(control: Control, **others: object) -> str:
    """The path of a payment's routes below /v1."""
    started = await provider_of(control).start(order(**others))  # type: ignore[arg-type]
    assert started.url == f"{control.settings.public_origin}/sandbox/{started.provider_ref}"
    return f"/v1/sandbox/payments/{started.provider_ref}"


async def pay(control: Control, path: str, number: str) -> tuple[int, str]:
    """Pay with a card; the status and the state, or the problem's code."""
    answer = await control.http.post(f"{path}/card", json={"number": number})
    return answer.status_code, answer.json().get("state") or answer.json()["code"]


async def test_page_shows_what_is_paid_for_and_which_cards_there_are(control: Control) -> None:
    path = await begun(control)
    answer = (await control.http.get(path)).json()
    cards = answer.pop("cards")
    assert cards == dict(CARDS)
    assert answer == {
        "description": "A film & <more>", "amount": 1250, "currency": "USD", "state": "open", "words": "",
        "return_url": "https://usher.example/purchases/pch_1",
    }  # fmt: skip
    page = await control.http.get(f"/sandbox/{path.rpartition('/')[2]}")
    assert page.status_code == 200 and "no real card is charged" in page.text


async def test_cards_do_what_they_say(control: Control) -> None:
    states = {"approve": "paid", "decline": "open", "poor": "open", "secure": "secure", "slow": "processing",
              "dispute": "paid", "dispute won": "paid"}  # fmt: skip
    assert set(states) == set(NUMBERS)
    for n, (card, state) in enumerate(states.items()):
        path = await begun(control, id=f"pch_{n}")
        spaced = " ".join(NUMBERS[card][i : i + 4] for i in range(0, 16, 4))
        assert await pay(control, path, spaced) == (200, state), card


async def test_only_test_cards_are_taken(control: Control) -> None:
    path = await begun(control)
    for number in ("4111111111111111", "", "x", "'; drop table sandbox_payment; --", "<script>"):
        assert await pay(control, path, number) == (422, "no-test-card")
    assert await pay(control, path, "4" * 41) == (422, "invalid")
    assert (await control.http.get(path)).json()["state"] == "open"


async def test_payment_that_is_over_takes_no_card_and_no_answer(control: Control) -> None:
    path = await begun(control)
    assert await pay(control, path, NUMBERS["approve"]) == (200, "paid")
    assert await pay(control, path, NUMBERS["approve"]) == (409, "conflict")
    for what, body in (("answer", {"passed": True}), ("leave", None)):
        assert code_of(await control.http.post(f"{path}/{what}", json=body)) == (409, "conflict")


async def test_many_clicks_pay_once(control: Control) -> None:
    path = await begun(control)
    answers = await asyncio.gather(*(pay(control, path, NUMBERS["approve"]) for _ in range(12)))
    assert sorted(answers) == [(200, "paid"), *[(409, "conflict")] * 11]


async def test_payer_who_leaves_before_or_while_the_bank_asks_pays_nothing(control: Control) -> None:
    for id, card in (("pch_1", None), ("pch_2", "secure")):
        path = await begun(control, id=id)
        if card:
            await pay(control, path, NUMBERS[card])
        assert (await control.http.post(f"{path}/leave")).json()["state"] == "voided"
        assert await pay(control, path, NUMBERS["approve"]) == (409, "conflict")
    held = await begun(control, id="pch_3", hold=True)
    assert await pay(control, held, NUMBERS["approve"]) == (200, "authorized")
    assert code_of(await control.http.post(f"{held}/leave")) == (409, "conflict")


async def test_bank_that_did_not_recognise_the_payer_lets_them_try_again(control: Control) -> None:
    path = await begun(control)
    await pay(control, path, NUMBERS["secure"])
    answer = (await control.http.post(f"{path}/answer", json={"passed": False})).json()
    assert (answer["state"], answer["words"]) == ("open", "The bank did not recognise you.")
    await pay(control, path, NUMBERS["secure"])
    assert (await control.http.post(f"{path}/answer", json={"passed": True})).json()["state"] == "paid"


async def test_slow_bank_pays_in_its_time_and_a_page_nobody_uses_is_over_after_a_day(
    control: Control, clock: ManualClock
) -> None:
    slow, left = await begun(control), await begun(control, id="pch_2")
    await pay(control, slow, NUMBERS["slow"])

    async def states() -> list[str]:
        await process.run_sandbox(control.wiring)
        return [(await control.http.get(path)).json()["state"] for path in (slow, left)]

    seen = [await states()]
    for seconds in (19, 1, 86_379, 1):
        clock.advance(seconds)
        seen.append(await states())
    assert seen == [["processing", "open"]] * 2 + [["paid", "open"]] * 2 + [["paid", "voided"]]


async def test_payment_nobody_began_is_not_found(control: Control) -> None:
    for path in ("/v1/sandbox/payments/sbx_0", "/v1/sandbox/payments/%00", "/v1/sandbox/payments/" + "x" * 3000):
        assert (await control.http.get(path)).status_code in (404, 422), path
    assert await pay(control, "/v1/sandbox/payments/sbx_0", NUMBERS["approve"]) == (404, "not-found")


async def test_sandbox_that_is_not_in_use_answers_to_nobody(settings: ControlSettings, clock: ManualClock) -> None:
    (settings.secrets_dir / "stripe-key").write_text("sk_test_1")
    (settings.secrets_dir / "stripe-webhook").write_text(SECRET)
    async with running_control(settings, clock) as control:
        path = await begun(control)
    async with running_control(replace(settings, payments="stripe"), clock) as control:
        assert code_of(await control.http.get(path)) == (404, "not-found")
        assert await pay(control, path, NUMBERS["approve"]) == (404, "not-found")
        assert code_of(await control.http.post("/v1/webhooks/sandbox", content=b"x")) == (404, "not-found")
        assert not await process.run_sandbox(control.wiring)


@pytest.mark.parametrize("amount", [50, 2**53 + 1, 10**30])
async def test_huge_amount_stays_exact(control: Control, amount: int) -> None:
    path = await begun(control, amount=amount)
    shown = (await control.http.get(path)).json()["amount"]
    assert (int(shown), isinstance(shown, str)) == (amount, amount >= 2**53)
    await pay(control, path, NUMBERS["approve"])
    assert (await provider_of(control).find(path.rpartition("/")[2])).amount == amount
