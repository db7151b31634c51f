"""Failed logins: counted by account and address, refused when there are too many."""

from __future__ import annotations

import asyncio

from tests.support.control import PASSWORD, Control, code_of, log_in, post, register


async def test_login_is_refused_for_a_while_when_twenty_failed(control: Control) -> None:
    await register(control.http, "ada")
    attacker = control.browser("203.0.113.7")
    for n in range(20):
        login = ("ada", "ADA@example.org")[n % 2]
        assert (await post(attacker, "auth/login", login=login, password="wrong")).status_code == 401
    answer = await post(attacker, "auth/login", login="ada", password=PASSWORD)
    assert code_of(answer) == (429, "too-many") and 0 < int(answer.headers["retry-after"]) <= 300
    assert (await log_in(control.browser("203.0.113.8"), "ada"))["username"] == "ada"


async def test_failures_are_counted_for_names_that_nobody_has(control: Control) -> None:
    attacker = control.browser("203.0.113.7")
    answers = [await post(attacker, "auth/login", login="nobody", password="wrong") for _ in range(21)]
    assert [a.status_code for a in answers] == [401] * 20 + [429]


async def test_failures_at_once_are_all_counted(control: Control) -> None:
    await register(control.http, "ada")
    attacker = control.browser("203.0.113.7")
    answers = await asyncio.gather(*(post(attacker, "auth/login", login="ada", password="wrong") for _ in range(28)))
    assert sorted(a.status_code for a in answers) == [401] * 20 + [429] * 8


async def test_failures_are_forgotten_when_a_login_succeeds(control: Control) -> None:
    await register(control.http, "ada")
    other = control.browser("203.0.113.7")
    for _ in range(10):
        await post(other, "auth/login", login="ada", password="wrong")
    await log_in(other, "ada")
    assert await control.wiring["redis"].keys("login:failed:*") == []


async def test_ipv6_clients_share_a_count_when_in_one_network(control: Control) -> None:
    for n in range(20):
        attacker = control.browser(f"2001:db8:7::{n + 1:x}")
        assert (await post(attacker, "auth/login", login="ada", password="wrong")).status_code == 401
    attacker = control.browser("2001:db8:7::ffff")
    assert (await post(attacker, "auth/login", login="ada", password="wrong")).status_code == 429
