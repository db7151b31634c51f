"""What a refund ends: a session that plays at a real edge is told to stop, and the next link is refused."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from shared.clock import ManualClock
from shared.settings import ControlSettings
from tests.support.control import code_of
from tests.support.edge import EdgeUnderTest, running_edge
from tests.support.shop import Shop, Viewer, open_shop, ref_of
from tests.support.till import Till, open_till
from tests.support.worker import until, working

IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
#: From the refund's answer to the end of the session, where nothing else keeps the machine busy.
WITHIN_S = 2.0
ROUNDS = range(20 if IS_LONG else 1)


@pytest.fixture
async def till(settings: ControlSettings, clock: ManualClock) -> AsyncIterator[Till]:
    """A control plane that is paid from wallets, at the sandbox and at Stripe."""
    async with open_till(settings, clock) as made:
        yield made


async def tell(till: Till) -> None:
    """Stripe sends what it has to tell; the worker handles it."""
    for one in await till.hands.webhooks():
        assert await till.send(one) == 204


async def onboard(till: Till, shop: Shop) -> None:
    """Give the seller an account at Stripe, to which their part of a sale goes at once."""
    path = f"sellers/{shop.seller.seller['handle']}/payees/stripe"
    await shop.owner.ask("POST", path, body={"country": "US"})
    (account,) = till.hands.server.folders["accounts"]
    till.hands.server.onboard(account)
    await tell(till)

    async def may_charge() -> bool:
        return bool(await till.control.rows("select from payee where can_charge"))

    await until(may_charge)


async def paid(till: Till, shop: Shop, viewer: Viewer, *, rail: str) -> str:
    """The id of a purchase that its viewer paid, and that the worker heard of."""
    purchase = await shop.bought(viewer, pay=rail)
    if rail == "stripe":
        await till.hands.pay(ref_of(purchase), "approve")
        await tell(till)
    elif rail == "sandbox":
        await shop.hands.pay(ref_of(purchase), "approve")

    async def owns() -> bool:
        return await shop.rights(viewer) == ["own"]

    await until(owns)
    return str(purchase["id"])


def at_stripe(till: Till) -> list[int]:
    """What was given back of the one charge and of its transfer, and what the seller's account holds."""
    folders = till.hands.server.folders
    (charge,), (transfer,), (account,) = (folders[name].values() for name in ("charges", "transfers", "accounts"))
    return [charge["amount_refunded"], transfer["amount_reversed"], account["balance"]]


async def playing(shop: Shop, viewer: Viewer, edge: EdgeUnderTest) -> tuple[str, str]:
    """A session that has its seat: token and path of its playlist."""
    answer = await viewer.http.post(f"/v1/titles/{shop.title}/play", json={})
    assert answer.status_code == 200, answer.text
    token, path = answer.json()["url"].split("/t/")[1].split("/", 1)
    playlist = Path(edge.settings.bucket) / path
    playlist.parent.mkdir(parents=True, exist_ok=True)
    playlist.write_text("#EXTM3U\n")
    assert (await edge.get(path, token)).status == 200
    return token, path


@pytest.mark.parametrize("rail", ["wallet", "sandbox", "stripe"])
@pytest.mark.parametrize("round_", ROUNDS)
async def test_refund_ends_the_session_that_plays(till: Till, tmp_path: Path, rail: str, round_: int) -> None:
    control, shop = till.control, await open_shop(till.control)
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer(funds=500)
    otto = await shop.viewer("otto", funds=500)
    jwks = tmp_path / "jwks.json"
    jwks.write_bytes((await control.http.get("/.well-known/jwks.json")).content)
    async with running_edge(tmp_path, control.settings.redis_url, jwks_file=jwks) as edge, working(control):
        await edge.until_it_hears()
        if rail == "stripe":
            await onboard(till, shop)
        purchase = await paid(till, shop, vera, rail=rail)
        assert rail != "stripe" or at_stripe(till) == [0, 0, 450]
        await shop.bought(otto)
        token, path = await playing(shop, vera, edge)
        other, _ = await playing(shop, otto, edge)
        await admin.ask("POST", f"payments/{purchase}/refunds", 201, {"reason": "asked for"})
        began = time.monotonic()

        async def over() -> bool:
            return (await edge.get(path, token)).status == 410

        await until(over)
        assert not IS_LONG or time.monotonic() - began <= WITHIN_S
        problem = msgspec.json.decode((await edge.get(path, token)).body)
        assert (problem["status"], problem["code"]) == (410, "revoked")
        assert (await edge.get(path, other)).status == 200

        async def is_done() -> bool:
            return await control.rows("select state from refund") == [{"state": "done"}]

        await until(is_done)
        assert (await edge.get(path, other)).status == 200
    assert rail != "stripe" or at_stripe(till) == [500, 500, 0]
    again = await vera.http.post(f"/v1/titles/{shop.title}/play", json={})
    assert code_of(again) == (403, "entitlement-no-right")
    await shop.audit()
