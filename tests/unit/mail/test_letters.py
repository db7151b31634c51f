"""Letters: every kind as text and HTML, nothing that breaks out of either, and no header but ours."""

from __future__ import annotations

import email
import email.policy
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from msgspec.structs import replace

from gateway.control.mail.adapters.folder import FolderMailer
from gateway.control.mail.adapters.letters import Letters, message_of
from gateway.control.mail.model import Kind, Letter, Mail, Text, put_off, subject_of
from shared.errors import NotFound, Refused

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SENDER = "no-reply@cinema.example"
HOSTILE = "\"><script>alert(1)</script>\r\nBcc: victim@example.org\r\n\r\n{{ 7 * 7 }}'"
VALUES: dict[str, Any] = {
    **dict.fromkeys(("username", "site", "name", "giver", "reason", "host", "words", "rail", "seller"), HOSTILE),
    **{"origin": "https://cinema.example", "path": "/watch/ab23/a-film", "token": "t" * 43, "amount": "4.99 USD"},
    **{
        "at": "2026-03-01 12:00 UTC",
        "purchase": "pur_1",
        "withdrawal": "wdr_1",
        "state": "paid",
        "is_gift": False,
        "term": "To keep",
    },
}


def letter(to: str = "ada@example.org", body: Text | None = None) -> Letter:
    return Letter(id="mail_" + "0" * 32, at=NOW, to=to, body=body or Text("Hello", "Hello\n", "<p>Hello</p>"))


def parsed(message: EmailMessage) -> EmailMessage:
    return email.message_from_bytes(message.as_bytes(), policy=email.policy.default)


@pytest.mark.parametrize("kind", get_args(Kind))
def test_letter_of_each_kind_holds_what_it_is_told_and_nothing_of_it_is_markup(kind: Kind) -> None:
    body = Letters().write(kind, VALUES)
    assert "<script>" not in body.html and "&lt;script&gt;" in body.html and "49" not in body.html
    assert body.text.startswith("Hello ") and "\n\n\n" not in body.text and "{" not in body.subject.replace("{{ 7", "")
    assert {"reset": VALUES["token"], "webhook-off": HOSTILE[:20]}.get(kind, "") in body.text
    for value in {
        "receipt": ("amount", "purchase", "path", "term"),
        "refund": ("amount",),
        "payout": ("withdrawal",),
        "dispute": ("amount", "purchase"),
        "taken-back": ("purchase",),
    }.get(kind, ()):
        assert VALUES[value] in body.text and VALUES[value] in body.html
    sent = parsed(message_of(letter(body=body), sender=SENDER))
    assert sent["Bcc"] is None and sent.get_content_type() == "multipart/alternative"
    assert set(sent.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"),
    }


def test_letter_with_a_value_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        Letters().write("reset", {name: value for name, value in VALUES.items() if name != "token"})


def test_receipt_of_a_gift_leads_nobody_to_watch() -> None:
    assert VALUES["path"] not in Letters().write("receipt", {**VALUES, "is_gift": True}).html


@given(st.text(max_size=300))
def test_subject_is_one_line_whatever_a_title_is_called(name: str) -> None:
    subject = subject_of("receipt", {"name": name})
    assert subject.splitlines() in ([subject], []) and len(subject) <= 200
    assert parsed(message_of(letter(body=Text(subject, "x", "x")), sender=SENDER))["X-Other"] is None


@pytest.mark.parametrize(
    "to",
    ["a\r\nBcc: b@example.org@x.org", "@example.org", "ada@", "ada", "ada@exa\nmple.org", "ada@" + "x" * 70 + ".org"],
)
def test_address_that_is_none_is_refused(to: str) -> None:
    with pytest.raises(Refused):
        message_of(letter(to), sender=SENDER)


@pytest.mark.parametrize("to", ["a,b@example.org", "Ada<ada@example.org", "a;b(c)@example.org", 'a"b@example.org'])
def test_odd_address_is_one_address_and_no_other(to: str) -> None:
    found = parsed(message_of(letter(to), sender=SENDER))["To"].addresses
    assert [(one.username, one.domain) for one in found] == [tuple(to.rsplit("@", 1))]


def test_message_is_the_same_with_each_try() -> None:
    one, two = (message_of(letter(), sender=SENDER) for _ in range(2))
    assert one["Message-ID"] == two["Message-ID"] == f"<mail_{'0' * 32}@cinema.example>" and one["Date"] == two["Date"]


def test_mail_is_tried_for_about_a_day_and_then_dead() -> None:
    mail = Mail(id="m", key="k", kind="reset", principal="usr_1", data={}, due_at=NOW, created_at=NOW)
    now = NOW
    while mail.state == "waiting":
        mail = put_off(replace(mail, attempts=mail.attempts + 1), "no answer", now)
        now = mail.due_at or now
    assert timedelta(hours=20) < now - NOW < timedelta(hours=30) and mail.words == "no answer" and mail.done_at


async def test_folder_holds_one_private_file_a_letter_however_often_it_is_sent(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path / "mail", sender=SENDER)
    text = "Hello Zoë,\n\nhttp://example.org/reset?token=" + "x" * 90 + "\n"
    for _ in range(2):
        await mailer.send(letter("zoë@example.org", Text("Grüße", text, "<p>Hällo</p>")))
    (path,) = (tmp_path / "mail").iterdir()
    assert path.suffix == ".eml" and path.stat().st_mode & 0o777 == 0o600 and "token=" + "x" * 90 in path.read_text()
    (head,) = await mailer.heads()
    assert (head.to, head.subject, head.at) == ("zoë@example.org", "Grüße", NOW)
    opened = await mailer.open(head.id)
    assert (opened.text, opened.html.strip()) == (text, "<p>Hällo</p>")


async def test_folder_shows_no_other_file(tmp_path: Path) -> None:
    mailer = FolderMailer(tmp_path, sender=SENDER)
    (tmp_path / "secret.eml").write_text("Subject: no\n\nno")
    assert await mailer.heads() == []
    for id in ("secret", "../secret", "20260301T120000-mail_" + "0" * 32):
        with pytest.raises(NotFound):
            await mailer.open(id)


def test_letter_calls_the_way_it_was_paid_by_its_name() -> None:
    for kind in ("receipt", "top-up", "refund"):
        body = Letters().write(kind, {**VALUES, "rail": "stripe"})
        assert "Stripe" in body.text and "Stripe" in body.html
