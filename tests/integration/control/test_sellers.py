"""Sellers through the real app: founded in one step, joined and left, never without an owner."""

from __future__ import annotations

import asyncio
from typing import Any

from gateway.control.auth import ROLES
from tests.support.control import Control, code_of, log_in, make_admin, make_seller, post, register

#: Sellers that are refused.
WRONG: list[dict[str, object]] = [
    {"name": "Films", "handle": "fi"},
    {"name": "Films", "handle": "f" * 33},
    {"name": "Films", "handle": "fi lms"},
    {"name": "Films", "handle": "-films"},
    {"name": "Films", "handle": "films\n"},
    {"name": "Films", "handle": "fílms"},
    {"name": "", "handle": "films"},
    {"name": "  ", "handle": "films"},
    {"name": "Fil\x00ms", "handle": "films"},
    {"name": "F" * 61, "handle": "films"},
    {"name": "Films"},
    {"name": "Films", "handle": "films", "fee_bp": 0},
]


def member(seller: dict[str, Any], role: str) -> dict[str, Any]:
    """How a member sees it."""
    return seller | {"role": role, "permissions": sorted(ROLES[role])}


async def test_any_account_becomes_a_seller_in_one_step(control: Control) -> None:
    me = await register(control.http, "ada")
    seller = await make_seller(control.http, "films")
    assert seller == {"id": seller["id"], "name": "Films", "handle": "films"}
    assert (await control.http.get("/v1/me")).json()["sellers"] == [member(seller, "owner")]
    assert (await control.browser().get("/v1/sellers/FILMS")).json() == seller
    told = (await control.events("seller.created"))[0]
    assert told["data"] == {"seller": seller["id"], "principal": me["id"]}


async def test_nobody_becomes_a_seller_when_not_logged_in(control: Control) -> None:
    assert (await post(control.http, "sellers", name="Films", handle="films")).status_code == 401
    assert (await control.http.get("/v1/sellers/films")).status_code == 404
    assert code_of(await control.http.get("/v1/sellers/%00")) == (404, "not-found")


async def test_seller_is_refused_when_a_field_is_wrong(control: Control) -> None:
    await register(control.http, "ada")
    for body in WRONG:
        assert code_of(await control.http.post("/v1/sellers", json=body)) == (422, "invalid"), body
    assert await control.rows("select id from seller") == []


async def test_seller_is_refused_when_the_handle_is_taken(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    assert code_of(await post(control.http, "sellers", name="Others", handle="Films")) == (409, "handle-taken")


async def test_member_joins_changes_and_leaves(control: Control) -> None:
    await register(control.http, "ada")
    seller = await make_seller(control.http, "films")
    eve = control.browser()
    await register(eve, "eve")
    path = "/v1/sellers/films/members/eve"
    for role in ("uploader", "editor", "editor"):
        assert (await control.http.put(path, json={"role": role})).status_code == 204
        assert (await eve.get("/v1/me")).json()["sellers"] == [member(seller, role)]
    assert (await eve.get("/v1/sellers/films/members")).json()["items"] == [
        {"username": "ada", "role": "owner"},
        {"username": "eve", "role": "editor"},
    ]
    assert (await eve.delete(path)).status_code == 204
    assert (await eve.get("/v1/me")).json()["sellers"] == []
    assert (await eve.get("/v1/sellers/films/members")).status_code == 403
    assert (await eve.delete(path)).status_code == 404
    changes = await control.rows("select before, after from audit where action = 'seller.member' order by seq")
    assert [(c["before"]["roles"], c["after"]["roles"]) for c in changes] == [
        ([], ["uploader"]),
        (["uploader"], ["editor"]),
        (["editor"], []),
    ]


async def test_members_are_changed_by_owners_alone(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    eve, bob = control.browser(), control.browser()
    await register(eve, "eve")
    await register(bob, "bob")
    await make_seller(bob, "others")
    await control.http.put("/v1/sellers/films/members/eve", json={"role": "editor"})
    for stranger in (eve, bob):
        assert (await stranger.put("/v1/sellers/films/members/bob", json={"role": "owner"})).status_code == 403
        assert (await stranger.delete("/v1/sellers/films/members/ada")).status_code == 403
    assert (await control.browser().put("/v1/sellers/films/members/bob", json={"role": "owner"})).status_code == 401
    assert (await bob.get("/v1/sellers/films/members")).status_code == 403


async def test_members_are_refused_when_account_role_or_seller_is_none(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    assert (await control.http.put("/v1/sellers/films/members/nobody", json={"role": "editor"})).status_code == 404
    assert (await control.http.put("/v1/sellers/none/members/ada", json={"role": "editor"})).status_code == 404
    assert (await control.http.put("/v1/sellers/films/members/ada", json={"role": "admin"})).status_code == 422


async def test_last_owner_stays_owner(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    path = "/v1/sellers/films/members/ada"
    assert code_of(await control.http.delete(path)) == (409, "last-owner")
    assert code_of(await control.http.put(path, json={"role": "editor"})) == (409, "last-owner")
    assert (await control.http.get("/v1/me")).json()["sellers"][0]["role"] == "owner"


async def test_one_owner_is_left_when_two_leave_at_once(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    eve = control.browser()
    await register(eve, "eve")
    await control.http.put("/v1/sellers/films/members/eve", json={"role": "owner"})
    answers = await asyncio.gather(
        control.http.delete("/v1/sellers/films/members/ada"), eve.delete("/v1/sellers/films/members/eve")
    )
    assert sorted(a.status_code for a in answers) == [204, 409]


async def test_admin_may_change_members_of_all_sellers(control: Control) -> None:
    await register(control.http, "ada")
    await make_seller(control.http, "films")
    boss = control.browser()
    await make_admin(control, (await register(boss, "boss"))["id"])
    await log_in(boss, "boss")
    assert (await boss.put("/v1/sellers/films/members/boss", json={"role": "editor"})).status_code == 204
