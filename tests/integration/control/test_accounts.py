"""Accounts through the real app: who comes in, who does not, and what stays behind."""

from __future__ import annotations

from tests.support.control import Control, register


async def test_register_logs_in_when_all_is_right(control: Control) -> None:
    me = await register(control.http, "ada")
    assert (await control.http.get("/v1/me")).json() == me
    assert me["username"] == "ada" and me["email"] == "ada@example.org" and me["sellers"] == []
