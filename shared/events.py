"""Events: one envelope, the names of all types, and the Redis streams and channels they travel on.

Control writes an event to its outbox in the transaction that made it true; the worker relays it to `EVENTS`.
Edges write to `EDGE_STREAM`, farms to `FARM_STREAM`; the worker reads both. `EDGE_PUSH` is pub/sub towards edges.
Consumers are idempotent: an event may come twice.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

#: Redis stream of all domain events, written by the worker from the outbox.
EVENTS = "events"
#: Redis stream edge → control; entry field `e` holds an Envelope as JSON.
EDGE_STREAM = "edge:events"
#: Redis stream farm → control; entry field `e` holds a message of shared/jobs.py as JSON.
FARM_STREAM = "farm:events"
#: Streams are cut to about this many entries.
STREAM_LENGTH = 100_000
#: Pub/sub channel control → edges; messages are `Push` as JSON.
EDGE_PUSH = "edge:push"
#: Hash of what is revoked: field `title:<id>`, `sub:<sub>` or `sid:<sid>` → the token iat up to which it holds.
REVOKED = "edge:revoked"

#: Every event type with what its `data` holds. A type not listed here cannot be emitted.
TYPES: dict[str, str] = {
    "auth.register": "principal",
    "auth.login": "principal, device",
    "auth.logout": "principal",
    "auth.reset": "principal",
    "seller.created": "seller, principal",
    "seller.payee": "seller, provider, can_charge, can_be_paid",
    "upload.created": "upload, title, size_bytes",
    "upload.completed": "upload, title, size_bytes, sha256, key",
    "upload.expired": "upload, title",
    "title.created": "title, seller",
    "title.updated": "title, fields",
    "title.published": "title",
    "title.archived": "title",
    "title.subtitle": "title, subtitle, language",
    "title.takedown": "title, reason",
    "title.restored": "title",
    "transcode.queued": "job, title",
    "transcode.started": "job, title, version",
    "transcode.playable": "job, title, version, edition",
    "transcode.replanned": "job, title, version, encoder",
    "transcode.completed": "job, title, version, edition",
    "transcode.failed": "job, title, code",
    "entitlement.granted": "principal, scope, kind",
    "entitlement.revoked": "principal, scope, kind",
    "entitlement.started": "principal, scope, ends_at",
    "entitlement.ended": "principal, scope",
    "offer.changed": "scope, seller",
    "viewer.blocked": "seller, principal",
    "viewer.unblocked": "seller, principal",
    "giftcard.bought": "giftcard, principal",
    "giftcard.redeemed": "giftcard, principal",
    "ledger.posted": "txn, kind, accounts",
    "payment.paid": "purchase, kind, rail, amount, currency, title, seller, txn",
    "payment.failed": "purchase, title, state",
    "payment.refunded": "purchase, amount, currency, title, seller, txn",
    "payment.disputed": "purchase, amount, currency, title, seller, txn",
    "payment.dispute_won": "purchase, amount, currency, title, seller, txn",
    "payment.transferred": "principal, to, amount, currency, txn",
    "payout.changed": "withdrawal, seller, state, amount, currency, txn",
    "payout.run": "run, rail, currency, count, amount",
    "recon.finished": "report, differences",
    "payment.changed": (
        "provider, provider_ref, order, state, amount, currency, fee, fee_currency, refunded, disputed, lost, "
        "reversed, newly_lost"
    ),
    "playback.granted": "sid, title, sub",
    "playback.ended": "sid, sub, title, reason",
    "playback.start": "sid, sub, title, device, place, edge",
    "playback.first_media": "sid, sub, title",
    "playback.stop": "sid, sub, title, reason",
    "playback.refused": "sid, sub, title, reason",
    "playback.sharing": "sid, sub, title, score, reason",
    "flag.changed": "flag, enabled, percent",
    "admin.action": "actor, action, object, before, after",
}


class Envelope(msgspec.Struct, frozen=True):
    """What every event looks like. `subject` is the id the event is about; `data` holds ids and numbers, no person."""

    id: str
    type: str
    at: datetime
    subject: str
    data: dict[str, Any]
    v: int = 1


class Push(msgspec.Struct, frozen=True):
    """Control → edges: tokens minted up to `iat` for this title, sub or sid are over, for `reason`.

    `spread`, which the seat script says: this sid is served by several edges, so they compare what it fetches.
    `left`: this sid gave its seat back on one edge, so another that still serves it asks anew.
    """

    kind: Literal["title", "sub", "sid", "spread", "left", "ping"]
    key: str = ""
    iat: int = 0
    reason: str = ""
