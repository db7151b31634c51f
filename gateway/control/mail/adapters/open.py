"""Opens what mail is sent by: a mail server where the settings name one, else a folder."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from gateway.control.db import Begin
from gateway.control.mail.actions import Desk, Stores
from gateway.control.mail.adapters.folder import FolderMailer
from gateway.control.mail.adapters.letters import Letters, address_of
from gateway.control.mail.adapters.smtp import Server, SmtpMailer
from gateway.control.mail.model import Mailbox, Mailer
from shared.clock import Clock
from shared.errors import Misconfigured
from shared.network import is_loopback
from shared.secrets import SMTP_PASSWORD, Secrets
from shared.settings import ControlSettings


def open_desk(
    settings: ControlSettings,
    secrets: Secrets,
    begin: Begin[Stores],
    *,
    clock: Clock,
    token_of: Callable[[str], str],
) -> Desk:
    """All that sending mail needs; nothing is connected yet. Raises Misconfigured (bad sender, missing password)."""
    return Desk(
        begin=begin,
        clock=clock,
        mailer=_mailer(settings, secrets),
        writer=Letters(),
        origin=settings.public_origin.rstrip("/"),
        token_of=token_of,
        mailbox=mailbox_of(settings),
    )


def mailbox_of(settings: ControlSettings) -> Mailbox | None:
    """The folder of mail for the page that shows it; None but on somebody's own machine, where a setting asks for it.

    Links to new passwords lie there, so whoever reads them is everybody.
    """
    host = urlsplit(settings.public_origin).hostname or ""
    if not settings.dev_mail or settings.smtp_host or not is_loopback(host):
        return None
    return FolderMailer(settings.mail_dir, sender=_sender(settings))


def _mailer(settings: ControlSettings, secrets: Secrets) -> Mailer:
    sender = _sender(settings)
    if not settings.smtp_host:
        return FolderMailer(settings.mail_dir, sender=sender)
    if settings.smtp_user and settings.smtp_security == "none" and not is_loopback(settings.smtp_host):
        raise Misconfigured("USHER_SMTP_SECURITY is none: a password is sent by starttls or tls alone.")
    server = Server(
        host=settings.smtp_host,
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=secrets.read(SMTP_PASSWORD).decode() if settings.smtp_user else "",
    )
    return SmtpMailer(server, sender=sender)


def _sender(settings: ControlSettings) -> str:
    sender = settings.mail_from or f"no-reply@{urlsplit(settings.public_origin).hostname or 'localhost'}"
    try:
        address_of(sender)
    except (ValueError, IndexError, UnicodeError) as error:
        raise Misconfigured(
            f"USHER_MAIL_FROM is {sender!r}: expected an address such as no-reply@example.org."
        ) from error
    return sender
