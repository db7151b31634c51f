"""Forgotten passwords: a link by mail, once, for two hours, and nothing that tells who has an account."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.support.control import PASSWORD, Control, code_of, log_in, post, register
from tests.support.mail import deliver_mail, received


async def _token(control: Control) -> str:
    control.clock.advance(1)
    assert (await post(control.browser(), "auth/forgot", email="ADA@example.org")).status_code == 202
    mail = (await received(control))[-1]
    found = re.search(r"http://127\.0\.0\.1:8700/reset\?token=([\w-]{43})\n", mail.text)
    assert found
    return found[1]


async def test_reset_sets_the_password_once_and_ends_all_logins(control: Control) -> None:
    await register(control.http, "ada")
    token, later = await _token(control), await _token(control)
    assert (await received(control))[0].head.to == "ada@example.org"
    answer = await post(control.browser(), "auth/reset", token=token, password="a new password")
    assert answer.status_code == 204 and (await control.http.get("/v1/me")).status_code == 401
    assert (await post(control.browser(), "auth/login", login="ada", password=PASSWORD)).status_code == 401
    await log_in(control.browser(), "ada", "a new password")
    for over in (token, later, "x" * 43):
        answer = await post(control.browser(), "auth/reset", token=over, password="yet another one")
        assert code_of(answer) == (410, "reset-over")
    await log_in(control.browser(), "ada", "a new password")


async def test_one_of_many_resets_counts_when_all_use_one_token(control: Control) -> None:
    await register(control.http, "ada")
    token = await _token(control)
    asked = (post(control.browser(), "auth/reset", token=token, password=f"password {n}") for n in range(6))
    answers = await asyncio.gather(*asked)
    assert sorted(a.status_code for a in answers) == [204] + [410] * 5


async def test_reset_is_refused_when_two_hours_passed(control: Control) -> None:
    await register(control.http, "ada")
    token = await _token(control)
    control.clock.advance(7200)
    answer = await post(control.browser(), "auth/reset", token=token, password="a new password")
    assert code_of(answer) == (410, "reset-over")
    await log_in(control.browser(), "ada")


@pytest.mark.parametrize("address", ["nobody@example.org", "ada", ""])
async def test_forgot_answers_the_same_when_nobody_has_the_mail(control: Control, address: str) -> None:
    await register(control.http, "ada")
    answer = await post(control.browser(), "auth/forgot", email=address)
    assert (answer.status_code, answer.content) == (202, b"") and await received(control) == []


async def test_mailbox_is_not_flooded_when_asked_often(control: Control) -> None:
    await register(control.http, "ada")
    for _ in range(8):
        assert (await post(control.browser(), "auth/forgot", email="ada@example.org")).status_code == 202
    assert len(await received(control)) == 5


async def test_mail_is_sent_later_when_it_cannot_be_written_now(control: Control) -> None:
    await register(control.http, "ada")
    control.settings.mail_dir.write_text("a file where the folder should be")
    assert (await post(control.browser(), "auth/forgot", email="ada@example.org")).status_code == 202
    await deliver_mail(control)
    control.settings.mail_dir.unlink()
    control.clock.advance(10)
    assert len(await received(control)) == 1


async def test_link_is_not_sent_any_more_when_it_is_over(control: Control) -> None:
    await register(control.http, "ada")
    assert (await post(control.browser(), "auth/forgot", email="ada@example.org")).status_code == 202
    control.clock.advance(7200)
    assert await received(control) == []
    (row,) = await control.rows("select state, words from mail")
    assert row == {"state": "dead", "words": "Its link is over."}


async def test_tokens_are_stored_as_hashes_and_logged_nowhere(
    control: Control, capsys: pytest.CaptureFixture[str]
) -> None:
    await register(control.http, "ada")
    token, session = await _token(control), control.http.cookies["usher_session"]
    for table in ("password_reset", "login", "outbox", "account", "principal", "mail"):
        for row in await control.rows(f"select t::text as all from {table} t"):  # noqa: S608 - names of ours
            assert token not in row["all"] and session not in row["all"] and PASSWORD not in row["all"]
    said = "".join(capsys.readouterr())
    assert token not in said and session not in said and PASSWORD not in said


@pytest.mark.parametrize("change", [{"email": "new@example.org"}, {"password": "a new password"}])
async def test_links_end_when_password_or_mail_is_changed(control: Control, change: dict[str, str]) -> None:
    await register(control.http, "ada")
    token = await _token(control)
    changed = await control.http.patch("/v1/me", json=change | {"current_password": PASSWORD})
    assert changed.status_code == 200
    answer = await post(control.browser(), "auth/reset", token=token, password="of the old mailbox")
    assert code_of(answer) == (410, "reset-over")
