"""Mail as files: one .eml per message in a folder, where it can be read again."""

from __future__ import annotations

import asyncio
import email
import os
import re
from datetime import datetime
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

from gateway.control.mail.adapters.letters import message_of
from gateway.control.mail.model import Head, Letter, Opened, named
from shared.errors import Unavailable

#: Messages that are listed, and bytes of one that are read.
LISTED, MAX_BYTES = 200, 1 << 20
_NAME = re.compile(r"[0-9]{8}T[0-9]{6}-[a-z]+_[0-9a-f]{32}\Z")


class FolderMailer:
    """Writes each message to a file of its own, readable by us alone, whole or not at all; the same one again."""

    def __init__(self, folder: Path, *, sender: str) -> None:
        self._folder, self._sender = folder, sender

    async def send(self, letter: Letter) -> None:
        """Write one message. Raises Unavailable when the folder cannot be written, Refused for a bad address."""
        data = message_of(letter, sender=self._sender, cte="8bit").as_bytes(policy=default.clone(utf8=True))
        try:
            await asyncio.to_thread(self._write, f"{letter.at:%Y%m%dT%H%M%S}-{letter.id}", data)
        except OSError as error:
            raise Unavailable(f"Mail cannot be written to its folder: {error.strerror}.") from error

    async def heads(self) -> list[Head]:
        """What lies there, the newest first."""
        return await asyncio.to_thread(self._heads)

    async def open(self, id: str) -> Opened:
        """One message. Raises NotFound."""
        head = named(await self.heads(), id)
        return await asyncio.to_thread(self._open, head)

    def _write(self, name: str, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._folder / f".{name}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(data)
        beside.replace(self._folder / f"{name}.eml")

    def _heads(self) -> list[Head]:
        if not self._folder.is_dir():
            return []
        names = sorted((path.stem for path in self._folder.glob("*.eml") if _NAME.match(path.stem)), reverse=True)
        return [_head(name, self._read(name)) for name in names[:LISTED]]

    def _open(self, head: Head) -> Opened:
        message = self._read(head.id)
        return Opened(head=head, text=_part(message, "plain"), html=_part(message, "html"))

    def _read(self, name: str) -> EmailMessage:
        with (self._folder / f"{name}.eml").open("rb") as file:
            return email.message_from_bytes(file.read(MAX_BYTES), policy=default)


def _head(name: str, message: EmailMessage) -> Head:
    at: datetime | None = getattr(message["Date"], "datetime", None)
    return Head(id=name, to=str(message["To"] or ""), subject=str(message["Subject"] or ""), at=at)


def _part(message: EmailMessage, subtype: str) -> str:
    part = message.get_body(preferencelist=(subtype,))
    return str(part.get_content()) if part is not None else ""
