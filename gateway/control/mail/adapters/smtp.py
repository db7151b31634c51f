"""Mail by a mail server (SMTP, RFC 5321), asked in a thread with a deadline."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from typing import Literal

import msgspec

from gateway.control.mail.adapters.letters import message_of
from gateway.control.mail.model import Letter
from shared.errors import Refused, Unavailable

DEADLINE_S = 20.0
Security = Literal["starttls", "tls", "none"]


class Server(msgspec.Struct, frozen=True, kw_only=True):
    """A mail server. `password` is used where there is a user; `context` checks its certificate."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: str = ""
    context: ssl.SSLContext | None = None


class SmtpMailer:
    """Hands each message to the server by a connection of its own. fails="closed": mail waits until it answers."""

    def __init__(self, server: Server, *, sender: str) -> None:
        self._server, self._sender = server, sender

    async def send(self, letter: Letter) -> None:
        """Hand one over. Raises Unavailable for what may pass (4xx, no connection), Refused for what will not (5xx)."""
        message = message_of(letter, sender=self._sender)
        try:
            await asyncio.to_thread(self._send, message)
        except smtplib.SMTPRecipientsRefused as error:
            _fail(min((code for code, _ in error.recipients.values()), default=500), "The mail server takes no mail"
                  " for this address", error)  # fmt: skip
        except smtplib.SMTPResponseException as error:
            temporary = isinstance(error, smtplib.SMTPConnectError | smtplib.SMTPAuthenticationError)
            _fail(421 if temporary else error.smtp_code, "The mail server does not take this mail", error)
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(f"The mail server cannot do what this needs: {error}", code="mail-refused") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unavailable(f"The mail server did not answer: {type(error).__name__}.") from error

    def _send(self, message: EmailMessage) -> None:
        server = self._server
        context = server.context or ssl.create_default_context()
        with _connected(server, context) as smtp:
            if server.security == "starttls":
                smtp.starttls(context=context)
            if server.user:
                smtp.login(server.user, server.password)
            smtp.send_message(message)


def _connected(server: Server, context: ssl.SSLContext) -> smtplib.SMTP:
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=DEADLINE_S, context=context)
    return smtplib.SMTP(server.host, server.port, timeout=DEADLINE_S)


def _fail(code: int, words: str, error: Exception) -> None:
    """Raise what a reply's code means: 5xx is for good, all else may pass."""
    if 500 <= code < 600:
        raise Refused(f"{words} ({code}).", code="mail-refused") from error
    raise Unavailable(f"{words} now ({code}).") from error
