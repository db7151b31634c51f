"""Webhooks out as values: endpoints, what they are told, signatures (Standard Webhooks 1.0), and when to try again."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.checkout.model import DISPUTES
from gateway.control.webhooks.addresses import MAX_LENGTH
from shared.events import Envelope
from shared.money import decimals, to_json

#: What an endpoint may ask for; `test` is sent on its own.
EventType = Literal["purchase", "refund", "dispute", "title.ready", "payout"]
State = Literal["waiting", "sent", "dead"]

DAY_S = 24 * 3600
_WAITS = (5, 30, 120, 600, 3600, 3 * 3600, 8 * 3600)
#: Seconds from each failure to the next try; the last try is a day after the first.
WAITS_S: tuple[int, ...] = (*_WAITS, DAY_S - sum(_WAITS))
#: A delivery that is being sent is taken up by another worker after this long.
LEASE = timedelta(seconds=60)
#: Both secrets of an endpoint sign for so long after it got a new one.
ROTATION = timedelta(days=1)
#: An endpoint that took nothing for so long is sent nothing more.
PATIENCE = timedelta(days=3)
#: How long a delivery that was sent or given up is kept.
KEPT = timedelta(days=30)
#: Endpoints of one owner at most, deliveries of a page.
MOST, PAGE = 20, 50
PREFIX = "whsec_"
SECRET_BYTES = 32
GONE = 410

Url = Annotated[str, Meta(min_length=1, max_length=MAX_LENGTH, pattern=r"^[^\x00]*$")]
Types = Annotated[list[EventType], Meta(max_length=8)]


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where to send what. `seller`: a handle, empty for the platform. `types`: none means all, those to come too."""

    url: Url
    seller: Annotated[str, Meta(max_length=60, pattern=r"^[^\x00]*$")] = ""
    types: Types = []


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to change of an endpoint; what is left out stays. Switched on again, it has its whole patience again."""

    url: Url | UnsetType = UNSET
    types: Types | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address and its secrets. `seller` is None for the platform's. `failing_since`: nothing was taken since then.

    `words`: why it is not active, where it was switched off by itself.
    """

    id: str
    seller: str | None
    url: str
    types: Sequence[str]
    secret: str
    old_secret: str | None = None
    old_until: datetime | None = None
    active: bool = True
    words: str = ""
    failing_since: datetime | None = None
    created_at: datetime


class EndpointView(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as it is shown; `secret` only when it was drawn just now."""

    id: str
    seller: str | None
    url: str
    types: Sequence[str]
    active: bool
    words: str
    failing_since: datetime | None
    created_at: datetime
    secret: str | UnsetType = UNSET


class Endpoints(msgspec.Struct, frozen=True):
    """All endpoints of an owner, the oldest first."""

    items: Sequence[EndpointView]


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One message to one endpoint; its id is the `webhook-id`, the same however often it is sent.

    `due_at`: the next try, None when there is none. `status`: the last answer's, 0 for none. `words`: what went wrong.
    """

    id: str
    endpoint: str
    event: str
    type: str
    body: str
    state: State = "waiting"
    attempts: int = 0
    due_at: datetime | None
    status: int = 0
    words: str = ""
    created_at: datetime
    done_at: datetime | None = None


class Deliveries(msgspec.Struct, frozen=True):
    """A page of an endpoint's deliveries, the newest first; `next` is the cursor of those before, null at the end."""

    items: Sequence[Delivery]
    next: str | None


class Answer(msgspec.Struct, frozen=True):
    """What came of a try: the status, 0 where there was no answer; words where it was not taken."""

    status: int
    words: str = ""

    @property
    def is_taken(self) -> bool:
        """Whether the receiver has it (any 2xx)."""
        return 200 <= self.status < 300


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of an event. `seller` is None where it must be looked up, by the title, or else by the purchase.

    `once` is given where the same may be told by several events: it is one delivery.
    """

    type: EventType
    seller: str | None
    data: Mapping[str, Any]
    once: str = ""


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint as the command line lists it, with how much waits and how much was given up."""

    id: str
    seller: str | None
    url: str
    active: bool
    words: str
    failing_since: datetime | None
    waiting: int
    dead: int


class Sender(Protocol):
    """Sends one request. Never raises: what goes wrong is an Answer with words."""

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class EndpointRows(Protocol):
    """What the actions ask of the rows of endpoints."""

    async def add(self, endpoint: Endpoint) -> None: ...
    async def find(self, id: str, *, lock: bool = False) -> Endpoint | None: ...
    async def of(self, seller: str | None) -> list[Endpoint]: ...
    async def put(self, endpoint: Endpoint) -> None: ...
    async def remove(self, id: str) -> None: ...
    async def listening(self, seller: str, type: str) -> list[str]: ...
    async def take(self, *, failing: bool, now: datetime, count: int) -> list[Endpoint]: ...
    async def wake(self, id: str, at: datetime) -> None: ...
    async def schedule(self, id: str) -> None: ...
    async def standings(self) -> list[Standing]: ...


class DeliveryRows(Protocol):
    """What the actions ask of the rows of deliveries."""

    async def add_delivery(self, delivery: Delivery) -> bool: ...
    async def lease(self, endpoint: str, *, now: datetime, count: int) -> list[Delivery]: ...
    async def delivery(self, id: str) -> Delivery | None: ...
    async def put_delivery(self, delivery: Delivery) -> None: ...
    async def deliveries(self, endpoint: str, *, state: str, before: str, count: int) -> list[Delivery]: ...
    async def give_up(self, endpoint: str, words: str, now: datetime) -> None: ...
    async def dead(self, endpoint: str, count: int) -> list[Delivery]: ...
    async def waiting(self) -> int: ...
    async def sweep(self, before: datetime) -> None: ...


class WebhookRows(EndpointRows, DeliveryRows, Protocol):
    """All rows of webhooks."""


def told_of(envelope: Envelope) -> Told | None:
    """What endpoints are told of an event, None for most: ids and amounts, never who paid."""
    data = envelope.data
    if envelope.type == "payment.paid" and data.get("kind") == "title":
        return Told(type="purchase", seller=data["seller"], data=_facts(data, "purchase", "title", "seller", "rail"))
    if envelope.type == "payment.refunded" and data.get("title"):
        return Told(type="refund", seller=data["seller"], data=_facts(data, "purchase", "title", "seller"))
    if envelope.type in DISPUTES and data.get("title"):
        facts = _facts(data, "purchase", "title", "seller")
        return Told(type="dispute", seller=data["seller"], data={**facts, "state": DISPUTES[envelope.type]})
    if envelope.type == "payment.changed" and (lost := data.get("newly_lost", 0)) > 0:
        facts = _facts({**data, "purchase": data["order"], "amount": lost}, "purchase")
        once = f"{data['order']}:lost:{data['lost']}"
        return Told(type="dispute", seller=None, data={**facts, "state": "lost"}, once=once)
    if envelope.type == "payout.changed":
        facts = _facts(data, "withdrawal", "seller", "state")
        return Told(type="payout", seller=data["seller"], data=facts)
    if envelope.type == "transcode.completed":
        return Told(type="title.ready", seller=None, data={"title": data["title"], "version": data["version"]})
    return None


def body_of(type: str, at: datetime, data: Mapping[str, Any]) -> str:
    """The body of a message; it is kept, so that each try sends the very same bytes."""
    return msgspec.json.encode({"type": type, "timestamp": at, "data": data}).decode()


def draw_secret() -> str:
    """A new secret: `whsec_` and 256 random bits in base64."""
    return PREFIX + b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def headers_of(endpoint: Endpoint, id: str, body: str, *, now: datetime) -> dict[str, str]:
    """The headers of a try, signed by each secret that counts now."""
    timestamp = str(int(now.timestamp()))
    keys = [endpoint.secret]
    if endpoint.old_secret and endpoint.old_until and now < endpoint.old_until:
        keys.append(endpoint.old_secret)
    return {
        "content-type": "application/json",
        "user-agent": "Usher-Webhooks/1",
        "webhook-id": id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join(sign(key, id, timestamp, body=body) for key in keys),
    }


def sign(secret: str, id: str, timestamp: str, *, body: str) -> str:
    """`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body`."""
    key = b64decode(secret.removeprefix(PREFIX))
    return "v1," + b64encode(hmac.digest(key, f"{id}.{timestamp}.{body}".encode(), hashlib.sha256)).decode()


def after(delivery: Delivery, answer: Answer, now: datetime) -> Delivery:
    """A delivery after a try: taken, to be tried again, or given up."""
    tried = msgspec.structs.replace(delivery, status=answer.status, words=answer.words)
    if answer.is_taken:
        return msgspec.structs.replace(tried, state="sent", due_at=None, done_at=now)
    if delivery.attempts > len(WAITS_S):
        return msgspec.structs.replace(tried, state="dead", due_at=None, done_at=now)
    return msgspec.structs.replace(tried, due_at=now + timedelta(seconds=WAITS_S[delivery.attempts - 1]))


def over(endpoint: Endpoint, answers: Sequence[Answer], now: datetime) -> str:
    """Why an endpoint is sent nothing more, in words; empty while it is."""
    if not answers or any(answer.is_taken for answer in answers):
        return ""
    if any(answer.status == GONE for answer in answers):
        return "It answered 410, so it wants no more."
    if endpoint.failing_since and now - endpoint.failing_since >= PATIENCE:
        return f"It took nothing for {PATIENCE.days} days."
    return ""


def view(endpoint: Endpoint, *, with_secret: bool = False) -> EndpointView:
    """An endpoint as it is shown."""
    return EndpointView(
        id=endpoint.id,
        seller=endpoint.seller,
        url=endpoint.url,
        types=endpoint.types,
        active=endpoint.active,
        words=endpoint.words,
        failing_since=endpoint.failing_since,
        created_at=endpoint.created_at,
        secret=endpoint.secret if with_secret else UNSET,
    )


def _facts(data: Mapping[str, Any], *names: str) -> dict[str, Any]:
    money = {"amount": to_json(int(data["amount"])), "currency": data["currency"]}
    return {name: data[name] for name in names} | money | {"decimals": decimals(data["currency"])}
