"""Buying in a browser: the price box, the sandbox's bank, wallets, coupons, and rights that end while a film plays."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, Route, expect

from gateway.control.sandbox.model import CARDS
from infra.api import Api
from shared.ids import new_id, new_secret
from tests.e2e.conftest import SECONDS, Open
from tests.support import media
from tests.support.api import Person, log_in, until
from tests.support.postgres import ask
from tests.support.stack import Running

NUMBERS: dict[str, str] = {card: number for number, card in CARDS.items()}
FILM = "Salt and wind"
OWN, RENT = 999, 399
#: Seconds that a rental of the test that waits for its end runs.
SHORT_S = 8
#: An account that nobody logs in to.
FRIEND = """
with made as (insert into principal (id, kind, sub) values ($1, 'registered', $1) returning id)
insert into account (principal, email, email_folded, username, username_folded, password_hash)
select id, $1, $1, $1, $1, '' from made
"""
#: What is wider than the screen.
WIDTH = "document.documentElement.scrollWidth - innerWidth"


@pytest.fixture(scope="module")
def sold() -> dict[str, Any]:
    """The title of this module's tests, once the first of them made it."""
    return {}


@pytest.fixture
async def film(stack: Running, sold: dict[str, Any]) -> dict[str, Any]:
    """A published title that is to be had for good, or for a day."""
    if not sold:
        inputs = (*media.picture("640x360", seconds=SECONDS), *media.tone(SECONDS))
        master = media.master("holiday.mp4", *inputs, *media.H264, "-c:a", "aac")
        seller = await log_in(stack, "seller")
        title = await seller.make_title(name=FILM, kind="video", price_minor=OWN)
        upload = await seller.begin_upload(title, master)
        await seller.send(upload, master.read_bytes(), offset=0)
        await seller.wait_ready(title)
        sold.update(await seller.ask("POST", f"titles/{title}/publish"))
        await seller.ask("POST", f"titles/{title}/offers", 201, kind="rent", hours=24, amount=RENT)
        await seller.close()
    return sold


async def funded(stack: Running, amount: int) -> Person:
    """The viewer, with money on their wallet."""
    viewer = await log_in(stack, "viewer")
    made = await viewer.ask("POST", "wallet/top-ups", 201, amount=amount, currency="USD")
    ref = made["url"].rsplit("/", 1)[1]
    await viewer.ask("POST", f"sandbox/payments/{ref}/card", number=NUMBERS["approve"])

    async def there() -> bool:
        return bool((await viewer.ask("GET", f"payments/{made['id']}"))["state"] == "paid")

    await until(there, within_s=60, what="money on the wallet")
    return viewer


async def balance(viewer: Person) -> int:
    """What is on the wallet."""
    pockets = (await viewer.ask("GET", "wallet"))["pockets"]
    return int(pockets[0]["balance"]) if pockets else 0


async def enter(page: Page, stack: Running, *, to: str, who: str = "viewer") -> None:
    """Log in as the viewer, or somebody else, and go to a page."""
    account = stack.accounts[who]
    body = {"login": account.username, "password": account.password}
    answer = await page.context.request.post("/v1/auth/login", data=body)
    assert answer.ok
    await page.goto(to)


async def pay(page: Page, card: str) -> None:
    """Pay with a test card on the sandbox's page."""
    await page.wait_for_url("**/sandbox/*")
    await page.get_by_label("Card number").fill(NUMBERS[card])
    await page.get_by_role("button", name="Pay", exact=True).click()


async def plays(page: Page) -> None:
    """Until the picture moves."""
    await page.wait_for_function("() => document.querySelector('video')?.currentTime > 0.5")


def box(page: Page) -> Locator:
    """The price box."""
    return page.locator("#buy")


async def coupon_of(seller: Person) -> str:
    """The code of a new coupon of theirs, which halves one price."""
    handle = (await seller.ask("GET", "me"))["sellers"][0]["handle"]
    code = new_id("C")[-12:].upper()
    await seller.ask("POST", f"sellers/{handle}/coupons", 201, code=code, percent=50, uses_max=1)
    return code


async def bring(page: Page, code: str) -> None:
    """Apply a coupon that is good."""
    await box(page).get_by_text("I have a coupon").click()
    await box(page).get_by_label("Coupon", exact=True).fill(code)
    await box(page).get_by_role("button", name="Apply").click()
    await expect(page.locator("#coupon-said")).to_have_text("The coupon lowers the price.")


async def purchase_at(page: Page) -> str:
    """The purchase that the sandbox's page leads back to."""
    ref = page.url.rsplit("/", 1)[1]
    shown = await (await page.context.request.get(f"/v1/sandbox/payments/{ref}")).json()
    found = re.search(r"purchase=(\w+)", shown["return_url"])
    assert found
    return found[1]


async def test_guest_logs_in_at_the_price_box_and_rents_by_a_card_that_the_bank_asks_about(
    stack: Running, film: dict[str, Any], open_page: Open
) -> None:
    page = await open_page(phone=True)
    await page.goto(film["watch_url"])
    await page.get_by_role("button", name=f"Play {FILM}").click()
    await page.get_by_role("alert").get_by_role("button", name="See the prices").click()
    await expect(box(page).get_by_label("Buy to keep")).to_be_focused()
    await box(page).get_by_label("Rent for 24 hours").check()
    assert await page.evaluate(WIDTH) <= 0
    await box(page).get_by_role("link", name="Log in to buy").click()
    account = stack.accounts["viewer"]
    await page.get_by_label("E-mail or user name").fill(account.username)
    await page.get_by_label("Password", exact=True).fill(account.password or "")
    await page.get_by_role("button", name="Log in").click()

    await expect(box(page).get_by_label("Rent for 24 hours")).to_be_checked()
    await expect(box(page).get_by_label("From my wallet")).to_be_disabled()
    await box(page).get_by_role("button", name="Rent for $3.99").click()
    await pay(page, "decline")
    await expect(page.get_by_role("alert")).to_contain_text("declined")
    await page.get_by_role("button", name="Cancel and go back").click()
    await expect(box(page).get_by_role("alert")).to_contain_text(
        "The card was declined. The payment did not go through"
    )
    assert "purchase=" not in page.url

    await box(page).get_by_label("Rent for 24 hours").check()
    await box(page).get_by_role("button", name="Rent for $3.99").click()
    await pay(page, "secure")
    await page.get_by_role("heading", name="is it you").wait_for()
    await page.goto(film["watch_url"] + f"?purchase={await purchase_at(page)}")
    await expect(box(page).get_by_role("status")).to_contain_text("not complete yet")
    await page.reload()
    await expect(box(page).get_by_role("status")).to_contain_text("not complete yet")
    await box(page).get_by_role("link", name="Go on paying").click()
    await page.get_by_role("button", name="It is me").click()
    await expect(box(page).get_by_role("status")).to_contain_text("it is paid")
    await expect(box(page)).to_contain_text("Press play when you want to begin")
    await expect(box(page)).to_contain_text("Its time begins when you first play it")
    await expect(box(page).get_by_role("status")).to_be_in_viewport()
    await page.get_by_role("button", name=f"Play {FILM}").click()
    await plays(page)
    await expect(box(page).get_by_role("button", name="Buy for $9.99")).to_be_visible()


async def test_wallet_is_topped_up_slowly_and_pays_the_price_that_is_shown_once(
    stack: Running, seller: Person, film: dict[str, Any], open_page: Open
) -> None:
    code = await coupon_of(seller)
    page = await open_page()
    await enter(page, stack, to="/wallet")
    await expect(page.locator("#pockets")).to_contain_text("$0.00")
    said = "async () => (await import('/static/js/money.js')).format('90071992547409931234567', 'USD')"
    assert await page.evaluate(said) == "$900,719,925,474,099,312,345.67"
    await page.get_by_label("Amount to top up", exact=True).fill("12.50")
    await page.get_by_role("button", name="Top up").click()
    await pay(page, "slow")
    await page.get_by_role("link", name="Go back").click()
    await expect(page.get_by_text("not complete yet")).to_be_visible()
    await ask(stack.database_url, "update sandbox_payment set due_at = now() where due = 'settle'")
    await expect(page.get_by_text("$12.50 came into your wallet")).to_be_visible()
    await expect(page.locator("#pockets")).to_contain_text("$12.50")

    await page.goto(film["watch_url"])
    await box(page).get_by_text("I have a coupon").click()
    await box(page).get_by_label("Coupon", exact=True).fill("none-such")
    await box(page).get_by_role("button", name="Apply").click()
    await expect(box(page)).to_contain_text("There is no such coupon")
    await box(page).get_by_label("Coupon", exact=True).fill(code.lower())
    await box(page).get_by_role("button", name="Apply").click()
    await expect(box(page).get_by_label("Rent for 24 hours")).to_have_accessible_name(re.compile(r"\$3\.99.*\$2\.00"))
    buy = box(page).get_by_role("button", name="Buy for $5.00")
    await buy.evaluate("button => { for (let n = 0; n < 5; n += 1) button.click(); }")
    await expect(box(page).get_by_label("Coupon", exact=True)).to_have_value("")
    await expect(box(page)).to_contain_text("This is yours for good")
    await plays(page)
    viewer = await log_in(stack, "viewer")
    assert await balance(viewer) == 1250 - 500
    await viewer.close()


async def test_price_that_changed_is_told_and_asked_for_again(
    stack: Running, seller: Person, film: dict[str, Any], open_page: Open
) -> None:
    viewer = await funded(stack, 2000)
    page = await open_page(phone=True)
    await enter(page, stack, to=film["watch_url"])
    await box(page).get_by_label("Rent for 24 hours").check()
    await expect(box(page).get_by_role("button", name="Rent for $3.99")).to_be_visible()
    offers = (await seller.ask("GET", f"studio/titles/{film['id']}/offers"))["items"]
    rent = next(offer for offer in offers if offer["kind"] == "rent")
    path = f"titles/{film['id']}/offers/{rent['id']}"
    try:
        await seller.ask("PUT", path, version=rent["version"], amount=450, currency="USD")
        await box(page).get_by_role("button", name="Rent for $3.99").click()
        await expect(box(page).get_by_role("alert")).to_contain_text("it was $3.99 and is $4.50 now")
        await expect(box(page).get_by_role("alert")).to_be_in_viewport()
        assert await balance(viewer) == 2000
        await box(page).get_by_role("button", name="Rent for $4.50").click()
        await expect(box(page)).to_contain_text("Press play when you want to begin")
        await page.get_by_role("button", name=f"Play {FILM}").click()
        await plays(page)
        assert await balance(viewer) == 1550
    finally:
        await seller.ask("PUT", path, version=rent["version"] + 1, amount=RENT, currency="USD")
    await viewer.close()


async def test_coupon_of_a_payment_that_is_open_is_not_good_for_a_gift_and_goes_with_words(
    stack: Running, seller: Person, film: dict[str, Any], open_page: Open
) -> None:
    viewer, code = await funded(stack, 2000), await coupon_of(seller)
    listed = (await viewer.ask("GET", f"titles/{film['id']}/offers"))["items"]
    own = next(item for item in listed if item["kind"] == "own")
    order = {"offer": own["id"], "version": own["version"], "coupon": code, "pay": "sandbox"}
    await viewer.ask("POST", f"titles/{film['id']}/checkout", 201, **order)
    friend = new_id("f")[-12:]
    await ask(stack.database_url, FRIEND, friend)
    page = await open_page()
    await enter(page, stack, to=film["watch_url"])
    await bring(page, code)
    field, receiver = (box(page).get_by_label(name, exact=True) for name in ("Coupon", "User name of who gets it"))
    await box(page).get_by_text("Give it to somebody").click()
    await receiver.fill(friend)
    await box(page).get_by_role("button", name="Buy for $5.00, as a gift").click()
    words = "This coupon is used up. Without the coupon it costs $9.99. Nothing was taken."
    await expect(box(page).get_by_role("alert")).to_contain_text(words)
    await expect(page.locator("#coupon-said")).to_have_text("This coupon is used up.")
    await expect(field).to_have_value("")
    await receiver.fill("")
    await box(page).get_by_role("button", name="Buy for $9.99").click()
    await expect(box(page)).to_contain_text("This is yours for good")
    assert await balance(viewer) == 2000 - OWN
    await viewer.close()


async def test_rental_that_ends_while_it_plays_is_told_and_rented_again(
    stack: Running, film: dict[str, Any], open_page: Open
) -> None:
    viewer = await funded(stack, 2000)
    listed = (await viewer.ask("GET", f"titles/{film['id']}/offers"))["items"]
    rent = next(item for item in listed if item["kind"] == "rent")
    bought = await viewer.ask("POST", f"titles/{film['id']}/checkout", 201, offer=rent["id"], version=rent["version"])
    await ask(stack.database_url, "update entitlement set span_s = $2 where source = $1", bought["id"], SHORT_S)
    page = await open_page(phone=True)
    await enter(page, stack, to=film["watch_url"])
    await expect(box(page)).to_contain_text("Its time begins when you first play it")
    async with page.expect_response(lambda answer: answer.url.endswith("/play")) as begun:
        await page.get_by_role("button", name=f"Play {FILM}").click()
    assert (await begun.value).status == 200
    curtain = page.locator("#curtain")
    await expect(curtain).to_contain_text("Your time with this title is over")
    assert await page.evaluate(WIDTH) <= 0
    await curtain.get_by_role("button", name="Rent or buy again").click()
    await box(page).get_by_label("Rent for 24 hours").check()
    async with page.expect_response(lambda answer: answer.url.endswith("/play")) as begun:
        await box(page).get_by_role("button", name="Rent for $3.99").click()
    assert (await begun.value).status == 200
    await expect(box(page)).to_contain_text("it is paid")
    await plays(page)
    assert await balance(viewer) == 2000 - 2 * RENT
    await viewer.close()


async def test_answer_of_before_a_purchase_does_not_undo_what_the_box_says(
    stack: Running, film: dict[str, Any], open_page: Open
) -> None:
    viewer = await funded(stack, 2000)
    page = await open_page()
    await enter(page, stack, to=film["watch_url"])
    released, asked = asyncio.Event(), asyncio.Event()

    async def hold(route: Route) -> None:
        answer = await route.fetch()
        asked.set()
        await released.wait()
        await route.fulfill(response=answer)

    await page.route("**/offers?coupon=*", hold, times=1)
    await box(page).get_by_text("I have a coupon").click()
    await box(page).get_by_label("Coupon", exact=True).fill("none-such")
    await box(page).get_by_role("button", name="Apply").click()
    await asked.wait()
    await box(page).get_by_label("Coupon", exact=True).fill("")
    await box(page).get_by_role("button", name="Buy for $9.99").click()
    await expect(box(page)).to_contain_text("This is yours for good")
    await plays(page)
    released.set()
    await expect(page.locator("#coupon-said")).to_contain_text("There is no such coupon")
    await expect(box(page)).to_contain_text("This is yours for good")
    await viewer.close()


async def test_admin_gives_back_what_was_paid_by_card_and_what_plays_ends_with_words(
    stack: Running, film: dict[str, Any], open_page: Open
) -> None:
    page = await open_page()
    await enter(page, stack, to=film["watch_url"])
    await box(page).get_by_label("Buy to keep").check()
    await box(page).get_by_role("button", name="Buy for $9.99").click()
    await pay(page, "approve")
    await expect(box(page).get_by_role("status")).to_contain_text("it is paid")
    await plays(page)

    office = await open_page()
    await enter(office, stack, to=f"/admin/payments?buyer={stack.accounts['viewer'].username}", who="admin")
    await office.get_by_role("table", name="Payments").get_by_role("link").first.click()
    await office.get_by_role("button", name="Give it back …").click()
    dialog = office.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("bought by mistake")
    await dialog.get_by_role("button", name="Give it back").click()
    await expect(office.get_by_role("table", name="Refunds")).to_contain_text("bought by mistake")

    await expect(page.locator("#curtain")).to_contain_text("Your right to watch has ended")
    await page.locator("#curtain").get_by_role("link", name="My purchases").click()
    history = page.locator("#history")
    await expect(history.get_by_text("Given back", exact=True)).to_be_visible()
    await expect(history).to_contain_text("+$9.99")
    await expect(history).to_contain_text("To keep")
    await history.get_by_role("button", name=f"Receipt: {FILM}", exact=True).click()
    await expect(page.get_by_role("dialog")).to_contain_text(office.url.rsplit("/", 1)[1])


async def test_gifts_and_gift_cards_reach_somebody_else(
    stack: Running, seller: Person, film: dict[str, Any], open_page: Open
) -> None:
    viewer = await funded(stack, 3000)
    other = stack.accounts["seller"].username
    page = await open_page(phone=True)
    await enter(page, stack, to="/wallet")
    await expect(page.locator("#pockets")).to_contain_text("$30.00")
    before = await balance(seller)
    await page.get_by_label("User name").fill(other)
    await page.get_by_label("Amount to send", exact=True).fill("0.99")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#send").get_by_role("alert")).to_contain_text("1.00 USD at least")
    await page.get_by_label("Amount to send", exact=True).fill("1.00")
    await page.get_by_role("button", name="Send").click()
    await expect(page.locator("#pockets")).to_contain_text("$29.00")
    codes = page.get_by_label("Code of the gift card")
    for count, amount in enumerate(("3", "2"), 1):
        await page.get_by_label("Amount on the card", exact=True).fill(amount)
        await page.get_by_role("button", name="Buy the card").click()
        await expect(codes).to_have_count(count)
    await expect(page.locator("#pockets")).to_contain_text("$24.00")
    code, other_code = [await one.input_value() for one in await codes.all()]
    for one in (code, other_code):
        await seller.ask("POST", "gift-cards/redeem", code=one)
    assert await balance(seller) == before + 600
    await page.get_by_label("Code", exact=True).fill(code)
    await page.get_by_role("button", name="Redeem").click()
    await expect(page.locator("#redeem").get_by_role("alert")).to_contain_text("was used before")
    await page.locator("#shown-in").select_option("IDR")
    await expect(page.locator("#pockets")).to_contain_text("about 408,000.00\u00a0IDR")
    assert await page.evaluate(WIDTH) <= 0

    friend = f"friend-{new_id('x')[-8:]}"
    about = {"username": friend, "email": f"{friend}@usher.example", "password": new_secret(12)}
    Api(stack.addresses["control"]).post("auth/register", about)
    await page.goto(film["watch_url"])
    await expect(box(page)).to_contain_text("About 169,830.00\u00a0IDR")
    await box(page).get_by_text("Give it to somebody").click()
    await box(page).get_by_label("User name of who gets it").fill("nobody-of-this-name")
    await box(page).get_by_role("button", name="Buy for $9.99, as a gift").click()
    await expect(box(page).get_by_role("alert")).to_contain_text("There is no such account")
    await box(page).get_by_label("User name of who gets it").fill(friend)
    await box(page).get_by_role("button", name="Buy for $9.99, as a gift").click()
    await expect(box(page)).to_contain_text(f"It is {friend}’s now")
    assert await balance(viewer) == 3000 - 100 - 500 - OWN
    await viewer.close()
