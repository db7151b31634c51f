"""Letting viewers in and out, in the real database."""

from __future__ import annotations

from gateway.control.idempotency.model import HEADER, REPLAYED
from tests.integration.control.test_rights import pushes
from tests.support.control import Control, code_of, make_admin, register
from tests.support.titles import Desk


async def test_viewer_is_listed_when_let_in_and_only_once(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=100)
    await register(control.browser(), "Vera")
    for _ in range(2):
        await seller.ask("PUT", f"titles/{title['id']}/viewers/vera", 204)
    items = (await seller.ask("GET", f"titles/{title['id']}/viewers"))["items"]
    assert [item["username"] for item in items] == ["Vera"]
    granted = await control.events("entitlement.granted")
    assert len(granted) == 1 and granted[0]["data"]["scope"] == title["id"]
    await seller.ask("PUT", f"titles/{title['id']}/viewers/nobody", 404)


async def test_letting_in_needs_a_key_and_the_same_request_again_lets_nobody_in_again(
    control: Control, seller: Desk
) -> None:
    title = await seller.published(price_minor=100)
    await register(control.browser(), "vera")
    path = f"/v1/titles/{title['id']}/viewers/vera"
    assert code_of(await seller.http.put(path)) == (422, "idempotency-key-missing")
    headers = {HEADER: "once"}
    assert (await seller.http.put(path, headers=headers)).status_code == 204
    await seller.ask("DELETE", path.removeprefix("/v1/"), 204)
    again = await seller.http.put(path, headers=headers)
    assert (again.status_code, again.headers[REPLAYED]) == (204, "true")
    assert (await seller.ask("GET", f"titles/{title['id']}/viewers"))["items"] == []


async def test_revoke_ends_what_plays_and_the_right_may_be_given_again(control: Control, seller: Desk) -> None:
    title = await seller.published(price_minor=100)
    me = await register(control.browser(), "vera")
    path = f"titles/{title['id']}/viewers/vera"
    await seller.ask("DELETE", path, 204)
    assert await pushes(control) == [] and await control.events("entitlement.revoked") == []
    await seller.ask("PUT", path, 204)
    await seller.ask("DELETE", path, 204)
    sub = (await control.rows("select sub from principal where id = $1", me["id"]))[0]["sub"]
    assert await pushes(control) == [("sub", sub, "right-ended")]
    assert (await seller.ask("GET", f"titles/{title['id']}/viewers"))["items"] == []
    await seller.ask("PUT", path, 204)
    assert len((await seller.ask("GET", f"titles/{title['id']}/viewers"))["items"]) == 1
    assert len(await control.events("entitlement.granted")) == 2


async def test_revoke_ends_nothing_when_another_right_stands(control: Control, seller: Desk) -> None:
    free, costly = await seller.published(), await seller.published(price_minor=100)
    me = await register(control.browser(), "vera")
    await make_admin(control, me["id"])
    await register(control.browser("10.3.0.2"), "otto")
    for title, name in ((free, "otto"), (costly, "vera"), (costly, "studio")):
        await seller.ask("PUT", f"titles/{title['id']}/viewers/{name}", 204)
        await seller.ask("DELETE", f"titles/{title['id']}/viewers/{name}", 204)
    assert await pushes(control) == []
