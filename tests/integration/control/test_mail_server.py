"""Mail by SMTP against a real server: how it is spoken to, and what follows from its answers."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from gateway.control.mail.adapters.open import open_desk
from gateway.control.mail.adapters.smtp import Server, SmtpMailer
from gateway.control.mail.model import Letter, Text
from shared.clock import ManualClock
from shared.errors import Misconfigured, Refused, Unavailable
from shared.secrets import SMTP_PASSWORD, FolderSecrets
from shared.settings import ControlSettings
from tests.support.certificates import Certificate, certificate_in
from tests.support.mail import MailServer, mail_server
from tests.support.ports import free_base

SENDER = "no-reply@cinema.example"
LETTER = Letter(
    id="mail_" + "0" * 32,
    at=datetime(2026, 3, 1, 12, tzinfo=UTC),
    to="ada@example.org",
    body=Text("Grüße", "Hello Ada,\n.\n..dots\n", "<p>Hello Ädä</p>"),
)


def mailer(server: MailServer, certificate: Certificate | None = None, **about: str) -> SmtpMailer:
    """Speaks to the server."""
    context = certificate.trusting() if certificate else None
    made = Server(host="127.0.0.1", port=server.port, security="none", context=context)
    return SmtpMailer(replace(made, **about), sender=SENDER)


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """The server's."""
    return certificate_in(tmp_path)


def context_of(certificate: Certificate) -> ssl.SSLContext:
    """The server's side of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


async def test_letter_arrives_whole_with_both_parts_and_the_same_id_each_time() -> None:
    async with mail_server() as server:
        for _ in range(2):
            await mailer(server).send(LETTER)
    for sender, to, message in server.mails:
        assert (sender, to, message["To"], message["Subject"]) == (
            SENDER,
            ["ada@example.org"],
            "ada@example.org",
            "Grüße",
        )
        parts = {part.get_content_subtype(): part.get_content() for part in message.iter_parts()}  # type: ignore[attr-defined]
        assert parts["plain"] == "Hello Ada,\n.\n..dots\n" and parts["html"].strip() == "<p>Hello Ädä</p>"
    assert (
        len({message["Message-ID"] for _, _, message in server.mails})
        == 1
        == len({str(m["Date"]) for *_, m in server.mails})
    )


async def test_password_is_sent_by_starttls_or_tls(certificate: Certificate) -> None:
    about = {"user": "usher", "password": "s3cret"}
    for tls, security in ((False, "starttls"), (True, "tls")):
        async with mail_server(context_of(certificate), tls=tls, **about) as server:
            await mailer(server, certificate, security=security, **about).send(LETTER)
            assert server.secure == [not tls] and len(server.mails) == 1 and "AUTH" in server.said


async def test_server_without_tls_or_with_a_strange_certificate_gets_no_mail(certificate: Certificate) -> None:
    async with mail_server() as plain:
        with pytest.raises(Refused, match="STARTTLS"):
            await mailer(plain, certificate, security="starttls").send(LETTER)
    async with mail_server(context_of(certificate)) as strange:
        with pytest.raises(Unavailable):
            await mailer(strange, security="starttls").send(LETTER)
    assert plain.mails == strange.mails == []


async def test_answers_say_whether_it_is_tried_again() -> None:
    async with mail_server() as server:
        server.replies = ["451 try later", "554 spam", "250 fine"]
        with pytest.raises(Unavailable, match="451"):
            await mailer(server).send(LETTER)
        with pytest.raises(Refused, match="554"):
            await mailer(server).send(LETTER)
        with pytest.raises(Refused, match="550"):
            await mailer(server).send(replace(LETTER, to="nobody@example.org"))
        server.drops = 1
        with pytest.raises(Unavailable):
            await mailer(server).send(LETTER)
    assert len(server.mails) == 1
    with pytest.raises(Unavailable, match="did not answer"):
        await mailer(MailServer(port=free_base(1))).send(LETTER)


async def test_wrong_password_is_ours_so_mail_waits(certificate: Certificate) -> None:
    async with mail_server(user="usher", password="right") as server:
        with pytest.raises(Unavailable):
            await mailer(server, user="usher", password="wrong").send(LETTER)


async def test_line_break_in_an_address_or_subject_makes_no_command_and_no_header() -> None:
    async with mail_server() as server:
        with pytest.raises(Refused):
            await mailer(server).send(replace(LETTER, to="ada@example.org>\r\nRCPT TO:<b@example.org"))
        for subject in ("a\r\nBcc: b@example.org", "a\nb"):
            with pytest.raises(Refused):
                await mailer(server).send(replace(LETTER, body=replace(LETTER.body, subject=subject)))
    assert server.mails == [] and server.said == []


def test_settings_choose_the_server_and_a_bad_one_stops_the_start(tmp_path: Path) -> None:
    secrets = FolderSecrets(tmp_path, {})
    made = ControlSettings(smtp_host="mail.example.org", smtp_user="usher", mail_from="films@example.org")

    def desk(settings: ControlSettings) -> object:
        return open_desk(settings, secrets, None, clock=ManualClock(), token_of=str).mailer  # type: ignore[arg-type]

    with pytest.raises(Misconfigured, match="smtp-password"):
        desk(made)
    secrets.write(SMTP_PASSWORD, b"s3cret")
    assert isinstance(desk(made), SmtpMailer)
    with pytest.raises(Misconfigured, match="USHER_SMTP_SECURITY"):
        desk(replace(made, smtp_security="none"))
    for sender in ("films", "a@b@", "a\r\nBcc: x@example.org"):
        with pytest.raises(Misconfigured, match="USHER_MAIL_FROM"):
            desk(replace(made, mail_from=sender))
