"""The objects of the Stripe of the tests: by id, in lists, as the API shows them, and the events that tell of them."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable
from typing import Any

from stripe import WebhookSignature

Thing = dict[str, Any]
#: Objects by the first word of their ids.
FOLDERS = {"cs": "sessions", "pi": "intents", "ch": "charges", "txn": "balance", "re": "refunds", "dp": "disputes",
           "acct": "accounts", "tr": "transfers", "trr": "reversals", "fee": "fees"}  # fmt: skip


class Refusal(Exception):
    """An answer of Stripe's that is an error."""

    def __init__(self, status: int, type: str, words: str, **others: Any) -> None:
        super().__init__(words)
        self.status, self.body = status, {"error": {"type": type, "message": words, **others}}


class StripeObjects:
    """What was made, and what was told of it."""

    def __init__(self) -> None:
        self.url = ""
        self.folders: dict[str, dict[str, Thing]] = {name: {} for name in FOLDERS.values()}
        self.events: list[Thing] = []
        self.clock: Callable[[], int] = lambda: 1_790_000_000
        self._numbers = itertools.count(1)

    def of(self, folder: str, id: str) -> Thing:
        """An object. Refuses with resource_missing."""
        if id not in self.folders[folder]:
            raise Refusal(404, "invalid_request_error", f"No such {folder[:-1]}: '{id}'", code="resource_missing")
        return self.folders[folder][id]

    def listed(self, folder: str, values: Thing) -> Thing:
        """GET of a list, the newest first."""
        names = ("payment_intent", "transfer", "transfer_group")
        about = {name: values[name] for name in names if name in values}
        made = {name: int(value) for name, value in values.get("created", {}).items()}
        found = [
            one
            for one in reversed(self.folders[folder].values())
            if about.items() <= one.items() and made.get("gte", 0) <= one["created"] < made.get("lt", 1 << 40)
        ]
        ids = [one["id"] for one in found]
        found = found[ids.index(values["starting_after"]) + 1 :] if "starting_after" in values else found
        data = found[: int(values.get("limit", 10))]
        return {"object": "list", "data": data, "has_more": len(found) > len(data), "url": f"/v1/{folder}"}

    def shown(self, thing: Thing, paths: list[str]) -> Thing:
        """A copy as the API shows it, with ids along `paths` replaced by what they name."""
        copy = {name: value for name, value in thing.items() if name not in ("asked", "balance")}
        if copy["object"] == "list":
            within = [path.removeprefix("data.") for path in paths]
            return {**copy, "data": [self.shown(one, within) for one in copy["data"]]}
        below: dict[str, list[str]] = {}
        for path in paths:
            first, _, rest = path.partition(".")
            if first not in copy:
                raise Refusal(400, "invalid_request_error", f"This property cannot be expanded ({path}).")
            below.setdefault(first, []).extend([rest] if rest else [])
        for first, rests in below.items():
            if isinstance(copy[first], str):
                folder = FOLDERS[copy[first].partition("_")[0]]
                copy[first] = self.shown(self.folders[folder][copy[first]], rests)
        return copy

    def deliveries(
        self, secret: str, *, shuffled: random.Random | None = None, at: int | None = None
    ) -> list[tuple[dict[str, str], bytes]]:
        """All events as webhooks (headers, body), each signed and sent twice, in any order, at `at` or now."""
        bodies = [json.dumps(event) for event in self.events]
        sent = [
            ({"stripe-signature": WebhookSignature.generate_signature_header(body, secret, at)}, body.encode())
            for body in bodies * 2
        ]
        if shuffled:
            shuffled.shuffle(sent)
        return sent

    def _number(self) -> int:
        return next(self._numbers)

    def _made(self, prefix: str, object: str, **values: Any) -> Thing:
        made = {"id": f"{prefix}_{self._number():06}", "object": object, "created": self.clock(), **values}
        self.folders[FOLDERS[prefix]][made["id"]] = made
        return made

    def _tell(self, type: str, thing: Thing) -> None:
        data = {"object": json.loads(json.dumps(self.shown(thing, [])))}
        event = {"id": f"evt_{self._number():06}", "object": "event", "type": type, "created": self.clock()}
        self.events.append({**event, "data": data})
