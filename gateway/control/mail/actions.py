"""What is done with mail: written down when something happens, sent when it is due, given up after a day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol

from gateway.control.accounts.model import RESET_TTL_S, AccountRows
from gateway.control.auth import OWNER
from gateway.control.catalogue.model import Titles, card
from gateway.control.checkout.model import DISPUTES, Purchase, Purchases
from gateway.control.db import Begin
from gateway.control.mail.model import (
    AT_ONCE,
    KEPT,
    Kind,
    Letter,
    Mail,
    Mailbox,
    Mailer,
    MailRows,
    Message,
    Writer,
    given_up,
    put_off,
    sent,
)
from gateway.control.sellers.model import scope_of
from gateway.control.wallet.model import Wallets
from shared import log
from shared.clock import Clock
from shared.errors import Refused, Retryable
from shared.events import Envelope
from shared.ids import new_id
from shared.metrics import ERRORS, MAIL
from shared.money import Money

NO_ACCOUNT = "The account is gone."
#: What was bought, by the kind of its offer and the hours of a rental.
TERMS = {"view": "One showing", "rent": "Rental for {} hours", "own": "To keep", "free": "For free"}


class Rows(Protocol):
    """The part of a transaction that keeps mail."""

    @property
    def mail(self) -> MailRows: ...


class Stores(Rows, Protocol):
    """One transaction."""

    @property
    def accounts(self) -> AccountRows: ...
    @property
    def catalogue(self) -> Titles: ...
    @property
    def purchases(self) -> Purchases: ...
    @property
    def wallet(self) -> Wallets: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """What sending mail needs. `token_of`: the token of a mail with a reset link.

    `mailbox`: the folder that mail is written to, where it may be looked at.
    """

    begin: Begin[Stores]
    clock: Clock
    mailer: Mailer
    writer: Writer
    origin: str
    token_of: Callable[[str], str]
    mailbox: Mailbox | None = None


async def put(message: Message, *, unit: Rows, clock: Clock) -> bool:
    """Write a mail down, once a key and reader; whether it was new."""
    now = clock.now()
    return await unit.mail.add(
        Mail(
            id=message.id or new_id("mail"),
            key=f"{message.key}:{message.principal}",
            kind=message.kind,
            principal=message.principal,
            data=message.data,
            due_at=now,
            created_at=now,
        )
    )


async def take_in(envelope: Envelope, *, unit: Stores, clock: Clock) -> int:
    """Write down the mails that an event brings; how many were new. May be called again."""
    messages: list[Message] = []
    if envelope.type == "payment.paid":
        messages = await _paid(envelope, unit)
    elif envelope.type == "payment.refunded":
        messages = await _refunded(envelope, unit)
    elif envelope.type in DISPUTES:
        messages = await _dispute(envelope, DISPUTES[envelope.type], unit, key=f"{envelope.id}:dispute")
    elif envelope.type == "payment.changed" and envelope.data.get("newly_lost", 0) > 0:
        messages = await _dispute(envelope, "lost", unit, key=f"{envelope.subject}:lost:{envelope.data['lost']}")
    elif envelope.type == "payout.changed" and envelope.data["state"] != "requested":
        messages = await _payout(envelope, unit)
    return sum([await put(message, unit=unit, clock=clock) for message in messages])


async def send_due(desk: Desk, *, site: str) -> bool:
    """Send what is due, a few at once; whether anything was handed over, so that there may be more.

    `site`: the portal's name.
    """
    async with desk.begin() as unit:
        due = await unit.mail.lease(desk.clock.now(), AT_ONCE)
    tried = await asyncio.gather(*(_try(mail, desk, site=site) for mail in due))
    if tried:
        async with desk.begin() as unit:
            for mail in tried:
                await unit.mail.put(mail)
    for mail in tried:
        outcome = "failed" if mail.state == "waiting" else mail.state
        MAIL.labels(outcome).inc()
        if outcome != "sent":
            log.get("mail").warning("mail not sent", mail=mail.id, kind=mail.kind, state=mail.state, reason=mail.words)
    return any(mail.state == "sent" for mail in tried)


async def waiting(*, mail: MailRows) -> int:
    """How many mails wait."""
    return await mail.waiting()


async def sweep(*, mail: MailRows, clock: Clock) -> None:
    """Forget mails that were done with long ago."""
    await mail.sweep(clock.now() - KEPT)


async def _try(mail: Mail, desk: Desk, *, site: str) -> Mail:
    """A mail after a try to send it. Never raises: one that fails must not have the others sent again."""
    now = desk.clock.now()
    if mail.kind == "reset" and now - mail.created_at >= timedelta(seconds=RESET_TTL_S):
        return given_up(mail, "Its link is over.", now)
    try:
        letter = await _letter(mail, desk, site=site)
        if letter is None:
            return given_up(mail, NO_ACCOUNT, now)
        await desk.mailer.send(letter)
    except Refused as error:
        return given_up(mail, str(error), desk.clock.now())
    except Retryable as error:
        return put_off(mail, str(error), desk.clock.now())
    except Exception as error:  # whatever it is, the mails beside this one are sent
        ERRORS.labels("mail").inc()
        return put_off(mail, f"It cannot be written: {type(error).__name__}.", desk.clock.now())
    return sent(mail, desk.clock.now())


async def _letter(mail: Mail, desk: Desk, *, site: str) -> Letter | None:
    """A mail as it is sent, to the address its account has now; None when there is no account any more."""
    async with desk.begin() as unit:
        account = await unit.accounts.account_of(mail.principal)
        other = mail.data.get("from")
        giver = await unit.accounts.account_of(other) if other else None
    if account is None:
        return None
    values: dict[str, Any] = {
        "term": "",
        "seller": "",
        **mail.data,
        "username": account.username,
        "site": site,
        "origin": desk.origin,
    }
    values["giver"] = giver.username if giver else "Somebody"
    if mail.kind == "reset":
        values["token"] = desk.token_of(mail.id)
    return Letter(id=mail.id, at=mail.created_at, to=account.email, body=desk.writer.write(mail.kind, values))


async def _paid(envelope: Envelope, unit: Stores) -> list[Message]:
    purchase = await unit.purchases.by_id(envelope.subject)
    if purchase is None:
        return []
    data = {**_amount(envelope.data), **await _about(purchase, unit), "rail": purchase.rail}
    data |= {"purchase": purchase.id, "at": f"{envelope.at:%Y-%m-%d %H:%M} UTC"}
    key = f"{purchase.id}:paid"
    if purchase.kind == "top_up":
        return [Message(key=key, kind="top-up", principal=purchase.principal, data=data)]
    is_gift = purchase.viewer != purchase.principal
    if sold := await unit.purchases.sold(purchase.id):
        data |= {"term": TERMS[sold.term].format(sold.hours), "seller": sold.seller}
    receipt = Message(key=key, kind="receipt", principal=purchase.principal, data={**data, "is_gift": is_gift})
    if not is_gift:
        return [receipt]
    about = {"name": data["name"], "path": data["path"], "from": purchase.principal}
    return [receipt, Message(key=f"{purchase.id}:gift", kind="gift", principal=purchase.viewer, data=about)]


async def _refunded(envelope: Envelope, unit: Stores) -> list[Message]:
    purchase = await unit.purchases.by_id(envelope.subject)
    if purchase is None:
        return []
    data = {**_amount(envelope.data), **await _about(purchase, unit), "purchase": purchase.id, "rail": purchase.rail}
    kind: Kind = "refund" if int(envelope.data["amount"]) else "taken-back"
    return [Message(key=f"{envelope.id}:refund", kind=kind, principal=purchase.principal, data=data)]


async def _dispute(envelope: Envelope, state: str, unit: Stores, *, key: str) -> list[Message]:
    """To all who own the seller of what was bought."""
    purchase = await unit.purchases.by_id(envelope.subject)
    if purchase is None or purchase.seller is None:
        return []
    amount = envelope.data["newly_lost"] if state == "lost" else envelope.data["amount"]
    data = {**_amount({**envelope.data, "amount": amount}), **await _about(purchase, unit)}
    data |= {"state": state, "purchase": purchase.id}
    owners = await unit.accounts.holders(OWNER, scope_of(purchase.seller))
    return [Message(key=key, kind="dispute", principal=owner, data=data) for owner in owners]


async def _payout(envelope: Envelope, unit: Stores) -> list[Message]:
    """To all who own the seller: it is theirs together."""
    withdrawal, state = await unit.wallet.by_id(envelope.subject), str(envelope.data["state"])
    data = {**_amount(envelope.data), "state": state, "reason": withdrawal.reason if withdrawal else ""}
    data |= {"withdrawal": envelope.subject}
    owners = await unit.accounts.holders(OWNER, scope_of(envelope.data["seller"]))
    kind: Kind = "payout"
    return [Message(key=f"{envelope.subject}:{state}", kind=kind, principal=owner, data=data) for owner in owners]


async def _about(purchase: Purchase, unit: Stores) -> dict[str, Any]:
    """What was bought, and the path of its page."""
    title = await unit.catalogue.by_id(purchase.title) if purchase.title else None
    if title is None:
        return {"name": "Money onto your wallet", "path": "/"}
    return {"name": title.name, "path": card(title).watch_url}


def _amount(data: Mapping[str, Any]) -> dict[str, Any]:
    return {"amount": str(Money(int(data["amount"]), data["currency"]))}
