"""Mail: who is told what by it, once, at the address they have when it is sent, and none of it in events."""

from __future__ import annotations

from tests.support.control import log_in
from tests.support.mail import deliver_mail, received
from tests.support.receivers import postbox
from tests.support.shop import Shop


async def told(shop: Shop) -> list[tuple[str, str]]:
    """To whom which subject went, after all that happened has left the outbox."""
    async with postbox(shop.control) as box:
        await box.hear()
    return [(mail.head.to.partition("@")[0], mail.head.subject) for mail in await received(shop.control)]


async def test_buyer_gets_a_receipt_with_what_was_paid(shop: Shop) -> None:
    viewer = await shop.viewer(funds=500)
    purchase = await shop.bought(viewer)
    assert await told(shop) == [("vera", "Your receipt: The Long Way")]
    assert await told(shop) == [("vera", "Your receipt: The Long Way")]
    (mail,) = await received(shop.control)
    for part in (mail.text, mail.html):
        assert all(word in part for word in ("5.00 USD", "The Long Way", purchase["id"], "/watch/", "vera", "Wallet"))
        assert "To keep" in part and shop.seller.seller["name"] in part
    export = (await viewer.http.get("/v1/me/export")).json()
    assert [(mail["kind"], mail["state"]) for mail in export["mail"]] == [("receipt", "sent")]


async def test_gift_is_told_to_both_and_nobody_is_named_in_a_row_or_event(shop: Shop) -> None:
    await shop.viewer("gill")
    await shop.bought(await shop.viewer(funds=500), gift_to="gill")
    assert sorted(await told(shop)) == [
        ("gill", "A gift for you: The Long Way"),
        ("vera", "Your receipt: The Long Way"),
    ]
    by_reader = {mail.head.to: mail for mail in await received(shop.control)}
    assert "vera gives you The Long Way" in by_reader["gill@example.org"].text
    assert "gift" in by_reader["vera@example.org"].text
    for table in ("mail", "outbox", "webhook_delivery"):
        for row in await shop.control.rows(f"select t::text as all from {table} t"):  # noqa: S608 - names of ours
            assert not any(word in row["all"] for word in ("@example", "vera", "gill"))


async def test_refund_and_top_up_are_told_to_who_paid(shop: Shop) -> None:
    viewer, admin = await shop.viewer(), await shop.viewer("root", role="admin")
    purchase = await shop.by_card(viewer)
    await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked", "amount": 200})
    order = {"amount": 1000, "currency": "USD", "pay": "sandbox"}
    opened = await viewer.ask("POST", "wallet/top-ups", 201, order)
    await shop.hands.pay(opened["url"].rsplit("/", 1)[-1], "approve")
    await shop.hear()
    subjects = {subject for _, subject in await told(shop)}
    assert {"Money back: 2.00 USD", "Your receipt: 10.00 USD onto your wallet"} <= subjects
    assert {mail.head.to for mail in await received(shop.control)} == {"vera@example.org"}


async def test_purchase_that_costs_nothing_has_a_receipt_and_word_of_its_end(shop: Shop) -> None:
    await shop.owner.ask("POST", "sellers/studio/coupons", 201, {"code": "GIFT", "percent": 100})
    purchase = await shop.bought(await shop.viewer(), coupon="GIFT")
    assert await told(shop) == [("vera", "Your receipt: The Long Way")]
    admin = await shop.viewer("root", role="admin")
    await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked"})
    shop.control.clock.advance(1)
    assert (await told(shop))[1:] == [("vera", "Taken back: The Long Way")]
    receipt, end = await received(shop.control)
    assert purchase["id"] in receipt.text and "0.00 USD" in receipt.text and "/watch/" in receipt.text
    assert purchase["id"] in end.text and "0.00" not in end.text


async def test_dispute_is_told_to_owners_when_it_comes_and_when_it_is_won_or_lost(shop: Shop) -> None:
    for name, won in (("vera", True), ("otto", False)):
        purchase = await shop.by_card(await shop.viewer(name))
        (row,) = await shop.control.rows("select provider_ref from purchase where id = $1", purchase["id"])
        for decided in (None, won):
            await shop.hands.dispute(row["provider_ref"], won=decided)
            await shop.hear()
    disputes = [(to, subject) for to, subject in await told(shop) if "dispute" in subject]
    words = "The dispute over 5.00 USD for The Long Way is"
    assert sorted(disputes) == [("studio", f"{words} {state}") for state in ("lost", "opened", "opened", "won")]


async def test_payouts_are_told_to_owners_as_they_are_decided(shop: Shop) -> None:
    admin = await shop.viewer("root", role="admin")
    await shop.books.fund(20_000, f"earnings__{shop.seller.seller['id']}")
    order = {"amount": 5000, "currency": "USD"}
    first, second = [await shop.owner.ask("POST", "sellers/studio/withdrawals", 201, order) for _ in range(2)]
    assert await told(shop) == []
    await admin.ask("POST", f"withdrawals/{first['id']}/approve", 200)
    await admin.ask("POST", f"withdrawals/{second['id']}/reject", 200, {"reason": "the account\r\nis closed"})
    shop.control.clock.advance(8 * 86400)
    await log_in(admin.http, "root")
    await admin.ask("POST", f"withdrawals/{first['id']}/complete", 200, {"rail_ref": "SEPA 1"})
    assert sorted(await told(shop)) == [
        ("studio", f"Your payout of 50.00 USD is {state}") for state in ("approved", "paid", "rejected")
    ]
    assert any("Why: the account is closed" in mail.text for mail in await received(shop.control))


async def test_mail_goes_to_the_address_of_the_moment_and_to_nobody_who_left(shop: Shop) -> None:
    viewer, leaver = await shop.viewer(funds=500), await shop.viewer("lea", funds=500)
    await shop.bought(viewer)
    await shop.bought(leaver)
    async with postbox(shop.control) as box:
        await box.hear()
    changed = {"email": "new@example.org", "current_password": "correct horse battery"}
    assert (await viewer.http.patch("/v1/me", json=changed)).status_code == 200
    gone = await leaver.http.request("DELETE", "/v1/me", json={"password": "correct horse battery"})
    assert gone.status_code == 204
    assert [mail.head.to for mail in await received(shop.control)] == ["new@example.org"]
    rows = await shop.control.rows("select state, words from mail where principal = $1", leaver.id)
    assert rows == [{"state": "dead", "words": "The account is gone."}]


async def test_mail_that_was_sent_and_not_written_down_comes_again_as_the_same_message(shop: Shop) -> None:
    await shop.bought(await shop.viewer(funds=500))
    async with postbox(shop.control) as box:
        await box.hear()
    sent = await received(shop.control)
    await shop.control.rows("update mail set state = 'waiting', due_at = now() - interval '1 hour', done_at = null")
    assert await received(shop.control) == sent and len(list(shop.control.settings.mail_dir.iterdir())) == 1


async def test_mail_is_sent_when_the_server_that_was_away_is_back(shop: Shop) -> None:
    await shop.bought(await shop.viewer(funds=500))
    async with postbox(shop.control) as box:
        await box.hear()
    shop.control.settings.mail_dir.write_text("a file where the folder should be")
    for _ in range(3):
        await deliver_mail(shop.control)
    (row,) = await shop.control.rows("select state, attempts, words from mail")
    assert (row["state"], row["attempts"]) == ("waiting", 1) and "cannot be written" in row["words"]
    shop.control.settings.mail_dir.unlink()
    shop.control.clock.advance(10)
    assert len(await received(shop.control)) == 1


async def test_mail_that_cannot_be_written_holds_up_no_other(shop: Shop) -> None:
    await shop.bought(await shop.viewer(funds=500))
    await shop.bought(await shop.viewer("gill", funds=500))
    async with postbox(shop.control) as box:
        await box.hear()
    await shop.control.rows("update mail set data = '{}' where principal = (select min(principal) from mail)")
    assert len(await received(shop.control)) == 1
    rows = await shop.control.rows("select words from mail where state = 'waiting'")
    assert rows == [{"words": "It cannot be written: KeyError."}]
