"""Mail as files: one .eml per message in a folder."""

from __future__ import annotations

import asyncio
import os
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from pathlib import Path

from gateway.control.accounts.model import Mail
from shared.clock import Clock
from shared.errors import Unavailable
from shared.ids import new_id


class FolderMailer:
    """Writes each message to a file of its own, readable by us alone, whole or not at all."""

    def __init__(self, folder: Path, clock: Clock, *, sender: str) -> None:
        self._folder, self._clock, self._sender = folder, clock, sender

    async def send(self, mail: Mail) -> None:
        """Write one message. Raises Unavailable when the folder cannot be written."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        message["Date"] = format_datetime(self._clock.now())
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2])
        message.set_content(mail.text, cte="8bit")
        try:
            await asyncio.to_thread(self._write, message.as_bytes())
        except OSError as error:
            raise Unavailable("Mail cannot be sent now; try again in a moment.") from error

    def _write(self, data: bytes) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = f"{self._clock.now():%Y%m%dT%H%M%S}-{new_id('msg')}"
        beside = self._folder / f".{name}"
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        beside.replace(self._folder / f"{name}.eml")
