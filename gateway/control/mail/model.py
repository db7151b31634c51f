"""Mail as values: what is told to whom, when it is tried again, subjects, and the ports that render and send it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

import msgspec

from shared.errors import NotFound

#: Each has a template of its own, as text and as HTML.
Kind = Literal["reset", "receipt", "top-up", "gift", "refund", "taken-back", "dispute", "payout", "webhook-off"]
State = Literal["waiting", "sent", "dead"]

#: Seconds from each failure to the next try; about a day in all.
WAITS_S = (10, 60, 300, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
#: A mail that is being sent is taken up by another worker after this long.
LEASE = timedelta(seconds=120)
#: How long a mail that was sent or given up is known; its row holds no address.
KEPT = timedelta(days=30)
#: Mails that one turn sends.
AT_ONCE = 5
SUBJECTS: Mapping[Kind, str] = {
    "reset": "A new password",
    "receipt": "Your receipt: {name}",
    "top-up": "Your receipt: {amount} onto your wallet",
    "gift": "A gift for you: {name}",
    "refund": "Money back: {amount}",
    "taken-back": "Taken back: {name}",
    "dispute": "The dispute over {amount} for {name} is {state}",
    "payout": "Your payout of {amount} is {state}",
    "webhook-off": "Your webhooks to {host} are switched off",
}


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody is to be told. `key` makes it one mail; `data` holds ids, amounts and names of titles, no person.

    `id` is given where it must be known before.
    """

    key: str
    kind: Kind
    principal: str
    data: Mapping[str, Any] = {}
    id: str = ""


class Mail(msgspec.Struct, frozen=True, kw_only=True):
    """A mail as a row. Its address is that of the account when it is sent. `words`: what went wrong."""

    id: str
    key: str
    kind: Kind
    principal: str
    data: Mapping[str, Any]
    state: State = "waiting"
    attempts: int = 0
    due_at: datetime | None
    words: str = ""
    created_at: datetime
    done_at: datetime | None = None


class Text(msgspec.Struct, frozen=True):
    """A mail as people read it."""

    subject: str
    text: str
    html: str


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """A mail on its way. The same `id` and `at` with each try, and with them the same Message-ID and Date."""

    id: str
    at: datetime
    to: str
    body: Text


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in a folder, as it is listed."""

    id: str
    to: str
    subject: str
    at: datetime | None


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """A mail in a folder, as it is read."""

    head: Head
    text: str
    html: str


class Mailer(Protocol):
    """Sends mail."""

    async def send(self, letter: Letter) -> None:
        """Hand over one letter. Raises Unavailable where it may be tried again, Refused where it may not.

        The same letter handed over twice may come twice, as one message: its Message-ID is the same.
        """
        ...


class Mailbox(Protocol):
    """Mail that lies in a folder."""

    async def heads(self) -> list[Head]:
        """The newest first."""
        ...

    async def open(self, id: str) -> Opened:
        """One of them. Raises NotFound."""
        ...


class Writer(Protocol):
    """Writes letters."""

    def write(self, kind: Kind, values: Mapping[str, Any]) -> Text:
        """The letter of a kind. Raises KeyError or jinja2's UndefinedError for a value that is missing."""
        ...


class MailRows(Protocol):
    """What the actions ask of the rows."""

    async def add(self, mail: Mail) -> bool: ...
    async def lease(self, now: datetime, count: int) -> list[Mail]: ...
    async def put(self, mail: Mail) -> None: ...
    async def waiting(self) -> int: ...
    async def sweep(self, before: datetime) -> None: ...


def subject_of(kind: Kind, values: Mapping[str, Any]) -> str:
    """A subject on one line, whatever its values hold."""
    return " ".join(SUBJECTS[kind].format_map(values).split())[:200]


def sent(mail: Mail, now: datetime) -> Mail:
    """A mail that was handed over."""
    return msgspec.structs.replace(mail, state="sent", due_at=None, done_at=now, words="")


def given_up(mail: Mail, words: str, now: datetime) -> Mail:
    """A mail that is not sent any more."""
    return msgspec.structs.replace(mail, state="dead", due_at=None, done_at=now, words=words)


def put_off(mail: Mail, words: str, now: datetime) -> Mail:
    """A mail that is tried again later, or given up after its last try."""
    if mail.attempts > len(WAITS_S):
        return given_up(mail, words, now)
    due_at = now + timedelta(seconds=WAITS_S[mail.attempts - 1])
    return msgspec.structs.replace(mail, due_at=due_at, words=words)


def named(mails: Sequence[Head], id: str) -> Head:
    """One of a folder's mails. Raises NotFound."""
    found = next((head for head in mails if head.id == id), None)
    if found is None:
        raise NotFound("There is no such mail.")
    return found
