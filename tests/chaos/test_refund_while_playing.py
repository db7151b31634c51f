"""What a refund ends: a session that plays at a real edge is told to stop, and the next link is refused."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec
import pytest

from tests.support.control import Control, code_of
from tests.support.edge import EdgeUnderTest, running_edge
from tests.support.shop import Shop, Viewer, open_shop
from tests.support.worker import until, working

IS_LONG = int(os.environ.get("USHER_CHAOS_ROUNDS", "1")) > 1
#: From the refund's answer to the end of the session, where nothing else keeps the machine busy.
WITHIN_S = 2.0
ROUNDS = range(20 if IS_LONG else 1)


async def playing(shop: Shop, viewer: Viewer, edge: EdgeUnderTest) -> tuple[str, str]:
    """A session that has its seat: token and path of its playlist."""
    answer = await viewer.http.post(f"/v1/titles/{shop.title}/play", json={})
    assert answer.status_code == 200, answer.text
    token, path = answer.json()["url"].split("/t/")[1].split("/", 1)
    assert (await edge.get(path, token)).status == 200
    return token, path


@pytest.mark.parametrize("rail", ["wallet", "sandbox"])
@pytest.mark.parametrize("round_", ROUNDS)
async def test_refund_ends_the_session_that_plays(control: Control, tmp_path: Path, rail: str, round_: int) -> None:
    shop = await open_shop(control)
    admin, vera = await shop.viewer("ada", role="admin"), await shop.viewer(funds=500)
    otto = await shop.viewer("otto", funds=500)
    (tmp_path / "jwks.json").write_bytes((await control.http.get("/.well-known/jwks.json")).content)
    purchase = await shop.bought(vera) if rail == "wallet" else await shop.by_card(vera)
    await shop.bought(otto)
    url = (await vera.http.post(f"/v1/titles/{shop.title}/play", json={})).json()["url"]
    playlist = tmp_path / "bucket" / url.split("/t/")[1].split("/", 1)[1]
    playlist.parent.mkdir(parents=True)
    playlist.write_text("#EXTM3U\n")
    jwks = tmp_path / "jwks.json"
    async with running_edge(tmp_path, control.settings.redis_url, jwks_file=jwks) as edge, working(control):
        await edge.until_it_hears()
        token, path = await playing(shop, vera, edge)
        other, _ = await playing(shop, otto, edge)
        await admin.ask("POST", f"payments/{purchase['id']}/refunds", 201, {"reason": "asked for"})
        began = time.monotonic()

        async def over() -> bool:
            return (await edge.get(path, token)).status == 410

        await until(over)
        assert not IS_LONG or time.monotonic() - began <= WITHIN_S
        problem = msgspec.json.decode((await edge.get(path, token)).body)
        assert (problem["status"], problem["code"]) == (410, "revoked")
        assert (await edge.get(path, other)).status == 200
    again = await vera.http.post(f"/v1/titles/{shop.title}/play", json={})
    assert code_of(again) == (403, "entitlement-no-right")
