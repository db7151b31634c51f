"""Webhooks out: who is told what, signed, tried again, given up, sent again, by whom they are kept."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.control.outbox import Row
from gateway.control.webhooks.model import LEASE, WAITS_S
from gateway.control.worker import telling
from shared.events import Envelope
from shared.ids import new_id
from shared.settings import ControlSettings
from tests.support.control import Control, code_of, control_settings, make_admin
from tests.support.mail import received
from tests.support.patience import until
from tests.support.receivers import Postbox, Receiver, is_signed, postbox, receiver
from tests.support.shop import Shop, Viewer
from tests.support.titles import desk


@pytest.fixture
def settings(tmp_path: Path, database_url: str, redis_url: str) -> ControlSettings:
    """Settings under which webhooks may be sent to this machine."""
    return control_settings(tmp_path, database_url=database_url, redis_url=redis_url, webhooks_loopback=True)


@pytest.fixture
async def box(control: Control) -> AsyncIterator[Postbox]:
    """The worker's post."""
    async with postbox(control) as made:
        yield made


@pytest.fixture
async def hooks() -> AsyncIterator[Receiver]:
    """Somebody who is told."""
    async with receiver() as made:
        yield made


async def seller_hook(box: Postbox, shop: Shop, hooks: Receiver, **about: Any) -> dict[str, Any]:
    """An endpoint of the shop's seller; what happened before is told to nobody."""
    await box.hear()
    return await box.add(shop.owner, hooks.url, seller="studio", **about)


async def test_purchase_is_told_to_its_seller_and_the_platform_signed_and_to_nobody_else(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    admin = await shop.viewer("root", role="admin")
    other = await desk(shop.control, "other")
    async with receiver() as platform, receiver() as strangers:
        mine = await seller_hook(box, shop, hooks)
        ours = await box.add(admin, platform.url, types=["purchase", "refund"])
        await box.add(Viewer(other.http, other.me), strangers.url, seller="other")
        viewer = await shop.viewer(funds=500)
        purchase = await shop.bought(viewer)
        for _ in range(2):
            await box.turn()
        assert len(hooks.got) == len(platform.got) == 1 and strangers.got == []
    for told, endpoint in ((hooks, mine), (platform, ours)):
        (headers, body), (said,) = told.got[0], told.bodies
        assert is_signed(endpoint["secret"], headers, body) and not is_signed(endpoint["secret"], headers, body + " ")
        assert headers["content-type"] == "application/json" and said["type"] == "purchase"
        assert said["data"] == {
            **{"purchase": purchase["id"], "title": shop.title, "seller": shop.seller.seller["id"]},
            **{"rail": "wallet", "amount": 500, "currency": "USD", "decimals": 2},
        }
        assert "vera" not in body and viewer.id not in body
    assert hooks.ids != platform.ids and {row["state"] for row in await box.deliveries()} == {"sent"}


async def test_refund_title_and_payout_are_told_to_who_asked_for_them(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    async with receiver() as titles:
        await seller_hook(box, shop, hooks, types=["refund", "payout"])
        await box.add(shop.owner, titles.url, seller="studio", types=["title.ready"])
        admin = await shop.viewer("root", role="admin")
        purchase = await shop.bought(await shop.viewer(funds=500))
        await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked"})
        await shop.books.fund(9000, f"earnings__{shop.seller.seller['id']}")
        order = {"amount": 5000, "currency": "USD"}
        taken = await shop.owner.ask("POST", "sellers/studio/withdrawals", 201, order)
        ready = await shop.seller.ready()
        await box.turn()
        assert [(one["type"], one["data"]["title"]) for one in titles.bodies] == [("title.ready", ready["id"])]
    told = {one["type"]: one["data"] for one in hooks.bodies}
    assert told["refund"]["amount"] == 500 and told["refund"]["purchase"] == purchase["id"]
    assert (told["payout"]["withdrawal"], told["payout"]["amount"]) == (taken["id"], 5000)
    assert set(told) == {"refund", "payout"}


async def test_purchase_that_costs_nothing_is_told_like_any_and_so_is_its_end(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    await seller_hook(box, shop, hooks)
    await shop.owner.ask("POST", "sellers/studio/coupons", 201, {"code": "GIFT", "percent": 100})
    purchase = await shop.bought(await shop.viewer(), coupon="GIFT")
    await box.turn()
    admin = await shop.viewer("root", role="admin")
    await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked"})
    for _ in range(2):
        await box.turn()
    assert [one["type"] for one in hooks.bodies] == ["purchase", "refund"]
    assert {(one["data"]["purchase"], one["data"]["amount"]) for one in hooks.bodies} == {(purchase["id"], 0)}


async def test_dispute_is_told_to_the_seller_when_it_comes_and_when_it_is_won_or_lost(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    await seller_hook(box, shop, hooks, types=["dispute"])
    refs = {}
    for name, won in (("vera", True), ("otto", False)):
        purchase = await shop.by_card(await shop.viewer(name))
        (row,) = await shop.control.rows("select provider_ref from purchase where id = $1", purchase["id"])
        refs[purchase["id"]] = won
        for decided in (None, won):
            await shop.hands.dispute(row["provider_ref"], won=decided)
            await shop.hear()
            await box.turn()
    await shop.hear()
    await box.turn()
    expected = [(id, state) for id, won in refs.items() for state in ("opened", "won" if won else "lost")]
    assert [(one["data"]["purchase"], one["data"]["state"]) for one in hooks.bodies] == expected
    for one in hooks.bodies:
        told = one["data"]
        assert (one["type"], told["title"], told["amount"], told["currency"]) == ("dispute", shop.title, 500, "USD")
        assert told["seller"] == shop.seller.seller["id"]


async def test_delivery_that_fails_comes_again_under_its_id_until_it_is_taken(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    hooks.statuses = [500, 503]
    await shop.bought(await shop.viewer(funds=500))
    await box.turn()
    await box.turn()
    assert len(hooks.got) == 1
    for wait_s in WAITS_S[:2]:
        box.control.clock.advance(wait_s)
        await box.turn()
    box.control.clock.advance(3600)
    await box.turn()
    assert len(hooks.got) == 3 and len(set(hooks.ids)) == 1 and len({body for _, body in hooks.got}) == 1
    assert all(is_signed(endpoint["secret"], headers, body) for headers, body in hooks.got)
    assert len({headers["webhook-timestamp"] for headers, _ in hooks.got}) == 3
    (row,) = await box.deliveries()
    assert (row["state"], row["attempts"], row["status"]) == ("sent", 3, 200)
    (shown,) = (await shop.owner.ask("GET", "webhook-endpoints?seller=studio"))["items"]
    assert shown["failing_since"] is None and "secret" not in shown


async def test_delivery_comes_again_under_its_id_when_the_worker_dies_before_it_is_written_down(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    await seller_hook(box, shop, hooks)
    await shop.bought(await shop.viewer(funds=500))
    await box.hear()
    hooks.open.clear()
    async with postbox(box.control) as dying:
        await dying.post.step()

        async def came() -> bool:
            return len(hooks.got) == 1

        await until(came)
        await dying.post.close()
    hooks.open.set()
    await box.turn()
    assert len(hooks.got) == 1, "its lease is not over"
    box.control.clock.advance(int(LEASE.total_seconds()))
    await box.turn()
    assert len(hooks.got) == 2 and len(set(hooks.ids)) == 1
    (row,) = await box.deliveries()
    assert (row["state"], row["attempts"]) == ("sent", 2)


async def test_delivery_is_given_up_after_a_day_and_can_be_sent_again(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    hooks.statuses = [500] * 9
    await shop.bought(await shop.viewer(funds=500))
    for wait_s in (0, *WAITS_S, 86400):
        box.control.clock.advance(wait_s)
        await box.turn()
    path = f"webhook-endpoints/{endpoint['id']}/deliveries"
    (dead,) = (await shop.owner.ask("GET", f"{path}?state=dead"))["items"]
    assert (dead["state"], dead["attempts"], dead["words"]) == ("dead", 9, "It answered 500.")
    await shop.owner.ask("POST", f"{path}/{dead['id']}/replay", 202)
    assert code_of(await shop.owner.send("POST", f"{path}/{dead['id']}/replay")) == (409, "delivery-waits")
    await box.turn()
    assert len(hooks.got) == 10 and len(set(hooks.ids)) == 1
    (row,) = await box.deliveries()
    assert (row["state"], row["attempts"]) == ("sent", 1)
    assert (await shop.owner.ask("GET", f"{path}?state=dead"))["items"] == []


async def test_endpoint_is_switched_off_with_a_word_to_its_owner_when_it_takes_nothing_for_days(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    hooks.statuses = [500] * 99
    for day in range(4):
        await shop.owner.ask("POST", f"webhook-endpoints/{endpoint['id']}/test", 202)
        await box.turn()
        if day < 3:
            box.control.clock.advance(86400)
    (shown,) = (await shop.owner.ask("GET", "webhook-endpoints?seller=studio"))["items"]
    assert not shown["active"] and shown["words"] == "It took nothing for 3 days."
    assert {row["state"] for row in await box.deliveries()} == {"dead"}
    assert [mail.head.to for mail in await received(box.control)] == ["studio@example.org"]
    tried = len(hooks.got)
    await shop.bought(await shop.viewer(funds=500))
    await box.turn()
    assert len(hooks.got) == tried
    test = await shop.owner.send("POST", f"webhook-endpoints/{endpoint['id']}/test")
    assert code_of(test) == (409, "endpoint-off")
    hooks.statuses = []
    await shop.owner.ask("PATCH", f"webhook-endpoints/{endpoint['id']}", 200, {"active": True})
    await shop.owner.ask("POST", f"webhook-endpoints/{endpoint['id']}/test", 202)
    await box.turn()
    assert len(hooks.got) == tried + 1


async def test_endpoint_that_is_gone_is_switched_off_at_once(shop: Shop, box: Postbox, hooks: Receiver) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    hooks.statuses = [410]
    await shop.owner.ask("POST", f"webhook-endpoints/{endpoint['id']}/test", 202)
    await box.turn()
    (shown,) = (await shop.owner.ask("GET", "webhook-endpoints?seller=studio"))["items"]
    assert not shown["active"] and "410" in shown["words"]


async def test_both_secrets_sign_for_a_day_after_one_was_drawn(shop: Shop, box: Postbox, hooks: Receiver) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    path = f"webhook-endpoints/{endpoint['id']}"
    fresh = (await shop.owner.ask("POST", f"{path}/secret"))["secret"]
    for wait_s in (0, 86400):
        box.control.clock.advance(wait_s)
        await shop.owner.ask("POST", f"{path}/test", 202)
        await box.turn()
    (first, second), old = hooks.got, endpoint["secret"]
    assert fresh != old and is_signed(fresh, *first) and is_signed(old, *first)
    assert is_signed(fresh, *second) and not is_signed(old, *second)


async def test_event_that_leaves_twice_is_told_once_and_a_bad_one_holds_up_no_other(
    shop: Shop, box: Postbox, hooks: Receiver
) -> None:
    await seller_hook(box, shop, hooks)
    await shop.bought(await shop.viewer(funds=500))
    found = await box.control.rows("select * from outbox where type = 'payment.paid'")
    paid = [Row(row["seq"], row["topic"], _envelope(row)).envelope for row in found]
    broken = {**paid[0].data, "seller": "\x00"}  # Postgres refuses it, and with it the transaction
    bad = Envelope(new_id("evt"), "payment.paid", paid[0].at, "pur_x", broken)
    for _ in range(2):
        async with box.control.wiring["begin"]() as unit:
            await telling.take_in([bad, *paid], unit, clock=box.control.clock)
        assert len(await box.deliveries()) == 1
    await box.turn()
    assert len(hooks.got) == len(await box.deliveries()) == len(await box.control.rows("select id from mail")) == 1


def _envelope(row: dict[str, Any]) -> Envelope:
    return Envelope(row["id"], row["type"], row["at"], row["subject"], row["data"])


async def test_endpoint_is_kept_by_its_owners_alone(shop: Shop, box: Postbox, hooks: Receiver) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    one = f"webhook-endpoints/{endpoint['id']}"
    other = await desk(shop.control, "other")
    stranger, viewer = Viewer(other.http, other.me), await shop.viewer()
    await make_admin(shop.control, (await shop.viewer("sue")).id, "support")
    for who in (stranger, viewer):
        for method, path, body in (
            ("GET", "webhook-endpoints?seller=studio", None),
            ("GET", "webhook-endpoints", None),
            ("POST", "webhook-endpoints", {"url": hooks.url, "seller": "studio"}),
            ("POST", "webhook-endpoints", {"url": hooks.url}),
            ("PATCH", one, {"active": False}),
            ("DELETE", one, None),
            ("POST", f"{one}/secret", None),
            ("POST", f"{one}/test", None),
            ("GET", f"{one}/deliveries", None),
            ("POST", f"{one}/deliveries/msg_x/replay", None),
        ):
            assert (await who.send(method, path, body)).status_code == 403, f"{method} {path}"
    mine = await box.add(stranger, hooks.url, seller="other")
    test = await stranger.ask("POST", f"webhook-endpoints/{mine['id']}/test", 202)
    crossed = f"{one}/deliveries/{test['id']}/replay"
    assert (await shop.owner.send("POST", crossed)).status_code == 404
    await shop.owner.ask("DELETE", one, 204)
    assert (await shop.owner.send("DELETE", one)).status_code == 404
    audited = await box.control.rows("select action, after::text as after from audit where object = $1", endpoint["id"])
    assert [row["action"] for row in audited] == ["webhook:add", "webhook:remove"]
    assert "/hooks" not in str(audited)


async def test_endpoint_with_a_bad_address_or_type_is_refused(shop: Shop, box: Postbox, hooks: Receiver) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    changes: list[dict[str, Any]] = [
        *({"url": url} for url in ("https://10.0.0.1/x", "http://shop.example/", "https://a@b.example/", "\x00", "")),
        *({"types": ["no-such"]}, {"types": "purchase"}, {"a": 1}),
    ]
    for change in changes:
        for method, path, body in (
            ("POST", "webhook-endpoints", {"url": hooks.url, "seller": "studio", **change}),
            ("PATCH", f"webhook-endpoints/{endpoint['id']}", change),
        ):
            assert (await shop.owner.send(method, path, body)).status_code == 422, f"{method} {change}"
    for _ in range(19):
        await box.add(shop.owner, hooks.url, seller="studio")
    refused = await shop.owner.send("POST", "webhook-endpoints", {"url": hooks.url, "seller": "studio"})
    assert code_of(refused) == (409, "too-many-endpoints")


async def test_deliveries_are_shown_page_by_page(shop: Shop, box: Postbox, hooks: Receiver) -> None:
    endpoint = await seller_hook(box, shop, hooks)
    await box.control.rows(
        "insert into webhook_delivery (id, endpoint, event, type, body, state, created_at, done_at) "
        "select 'msg_' || n, $1, 'evt_' || n, 'test', '{}', 'sent', now() - n * interval '1 s', now() "
        "from generate_series(1, 60) n",
        endpoint["id"],
    )
    path = f"webhook-endpoints/{endpoint['id']}/deliveries"
    first = await shop.owner.ask("GET", path)
    second = await shop.owner.ask("GET", f"{path}?before={first['next']}")
    found = [one["id"] for page in (first, second) for one in page["items"]]
    assert found == [f"msg_{n}" for n in range(1, 61)] and second["next"] is None
    assert (await shop.owner.send("GET", f"{path}?state=sent")).status_code == 422
