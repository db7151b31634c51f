"""Uploads of other people, which nobody finds."""

from __future__ import annotations

from tests.support.control import Control, make_admin, register
from tests.support.titles import Desk
from tests.support.tus import TUS, Client, assert_complete, film


async def test_other_people_find_no_upload(control: Control, client: Client) -> None:
    data = film(5000)
    await client.begin(len(data))
    stranger, admin = control.browser(), control.browser()
    await register(stranger, "stranger")
    await make_admin(control, (await register(admin, "boss"))["id"])
    for http in (stranger, admin):
        other = Client(http, client.title)
        other.at = client.at
        assert await other.head() == 404
        await other.patch(data, 0, status=404)
        assert (await http.delete(client.at, headers=TUS)).status_code == 404
    assert (await Client(stranger, client.title).begin(5000, status=404)).json()["code"] == "not-found"
    nobody = control.browser()
    assert (await nobody.head(client.at, headers=TUS)).status_code == 401
    assert (await nobody.post("/v1/uploads", headers=TUS)).status_code == 401
    await client.patch(data, 0)
    await assert_complete(control, client, data)


async def test_an_id_of_no_upload_is_not_found(client: Client) -> None:
    for id in ("x", "upl_" + "0" * 32, "ttl_" + "0" * 32, "%00"):
        client.at = f"/v1/uploads/{id}"
        assert await client.head() == 404
        await client.patch(b"x", 0, status=404)


async def test_a_seller_that_dismissed_its_uploader_gets_no_bytes_from_it(
    control: Control, seller: Desk, client: Client
) -> None:
    helper = control.browser()
    await register(helper, "helper")
    await seller.ask("PUT", f"sellers/{seller.seller['handle']}/members/helper", 204, {"role": "uploader"})
    theirs = Client(helper, client.title)
    await theirs.begin(5000)
    await theirs.patch(film(5000)[:100], 0)
    await seller.ask("DELETE", f"sellers/{seller.seller['handle']}/members/helper", 204)
    assert await theirs.head() == 404
    await theirs.patch(b"x", 100, status=404)
