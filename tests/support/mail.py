"""Mail in tests: the worker's turn, the folder it writes to, and a real mail server (SMTP) in this process."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import email
import email.policy
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage

from gateway.control.mail.adapters.folder import FolderMailer
from gateway.control.mail.model import Opened
from gateway.control.worker import telling
from tests.support.control import Control


async def deliver_mail(control: Control) -> None:
    """The worker's turns, until nothing more is sent."""
    while await telling.send_mail(control.wiring):
        pass


async def received(control: Control) -> list[Opened]:
    """All mail that was sent so far, the oldest first."""
    await deliver_mail(control)
    mailer = FolderMailer(control.settings.mail_dir, sender="no-reply@127.0.0.1")
    rows = await control.rows("select id from mail where state = 'sent' order by created_at, done_at, key")
    by_id = {head.id.partition("-")[2]: head.id for head in await mailer.heads()}
    return [await mailer.open(by_id[row["id"]]) for row in rows]


@dataclass
class MailServer:
    """Takes mail by SMTP (RFC 5321) as it is told to: `replies` are given to DATA, first come first, else 250."""

    port: int = 0
    context: ssl.SSLContext | None = None
    user: str = ""
    password: str = ""
    replies: list[str] = field(default_factory=list)
    drops: int = 0
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    secure: list[bool] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await _Talk(self, reader, writer).run()
        writer.close()


class _Talk:
    """One conversation."""

    def __init__(self, server: MailServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.server, self.reader, self.writer = server, reader, writer
        self.sender, self.to = "", list[str]()
        self.is_secure, self.is_known = False, not server.user

    async def say(self, line: str) -> None:
        self.writer.write(f"{line}\r\n".encode())
        await self.writer.drain()

    async def run(self) -> None:
        await self.say("220 mail.test ESMTP")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            verb, _, rest = line.partition(" ")
            self.server.said.append(verb.upper())
            answer = await self.answer(verb.upper(), rest)
            if answer is None:
                return
            await self.say(answer)
            if verb.upper() == "QUIT":
                return
            if verb.upper() == "STARTTLS":
                assert self.server.context is not None
                await self.writer.start_tls(self.server.context)
                self.is_secure = True

    async def answer(self, verb: str, rest: str) -> str | None:
        if verb == "EHLO":
            offers = ["mail.test", "8BITMIME", "SMTPUTF8"]
            offers += ["STARTTLS"] if self.server.context and not self.is_secure else []
            offers += ["AUTH PLAIN"] if self.server.user else []
            self.writer.writelines(f"250-{offer}\r\n".encode() for offer in offers[:-1])
            return f"250 {offers[-1]}"
        if verb == "AUTH":
            given = base64.b64decode(rest.split()[1]).decode().split("\0")[1:]
            self.is_known = given == [self.server.user, self.server.password]
            return "235 fine" if self.is_known else "535 no"
        if verb == "MAIL":
            self.sender, self.to = rest.partition(":")[2].split(">")[0].strip("< "), []
            return "250 fine" if self.is_known else "530 log in"
        if verb == "RCPT":
            to = rest.partition(":")[2].split(">")[0].strip("< ")
            if to.startswith("nobody@"):
                return "550 no such mailbox"
            self.to.append(to)
            return "250 fine"
        return await self.data() if verb == "DATA" else {"RSET": "250 fine", "QUIT": "221 bye"}.get(verb, "220 go on")

    async def data(self) -> str | None:
        await self.say("354 go on")
        lines = []
        while (line := await self.reader.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        reply = self.server.replies.pop(0) if self.server.replies else "250 fine"
        if reply.startswith("250"):
            message = email.message_from_bytes(b"".join(lines).replace(b"\r\n", b"\n"), policy=email.policy.default)
            assert isinstance(message, EmailMessage)
            self.server.mails.append((self.sender, self.to, message))
            self.server.secure.append(self.is_secure)
        if self.server.drops:
            self.server.drops -= 1
            return None
        return reply


@contextlib.asynccontextmanager
async def mail_server(
    context: ssl.SSLContext | None = None, *, tls: bool = False, user: str = "", password: str = ""
) -> AsyncIterator[MailServer]:
    """A mail server on a port of this machine; with `tls` it is spoken to by TLS from the first byte."""
    made = MailServer(context=None if tls else context, user=user, password=password)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0, ssl=context if tls else None)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await asyncio.sleep(0)
