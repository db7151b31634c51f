"""Every route with garbage in path, query and body: a clear 4xx at worst, never a 5xx."""

from __future__ import annotations

import random
import re
import string
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.control.app import ROUTES
from gateway.control.idempotency.model import HEADER
from gateway.control.route import Route
from shared.clock import ManualClock
from shared.ids import new_id
from shared.settings import ControlSettings
from tests.support.control import PASSWORD, make_admin, make_seller, register, running_control

ROUNDS = 12
#: Ends the session that the others need; and answers that go on for as long as somebody listens.
LEFT_OUT = {"logout", "follow_wallet", "follow_earnings"}
LETTERS = string.ascii_letters + "@.-_ \x00\n\x7f\ud7ffé😀%/\\'\"<>0"
#: Values that get past the first checks.
LIKELY = {
    "email": "x@example.org",
    "username": "somebody",
    "password": PASSWORD,
    "login": "boss",
    "name": "Film",
    "handle": "films",
    "seller": "films",
    "kind": "video",
    "role": "editor",
    "enabled": True,
    "token": "t" * 43,
}


class Garbage:
    """Draws the same garbage each time."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)

    def text(self) -> str:
        return "".join(self.draw.choices(LETTERS, k=self.draw.randrange(40)))

    def value(self, depth: int = 0) -> Any:
        plain = [self.text(), self.draw.randrange(-(2**70), 2**70), self.draw.random() * 1e300, None, True, 3]
        nested = [[self.value(depth + 1)], {self.text(): self.value(depth + 1)}] if depth < 2 else []
        return self.draw.choice(plain + nested)

    def path(self, template: str) -> str:
        def part(_: re.Match[str]) -> str:
            return quote(self.draw.choice([self.text() or "x", "boss", "films", "..", "\x00", "a" * 3000]), safe="")

        return re.sub(r"\{\w+(:\w+)?\}", part, template)

    def body(self, route: Route) -> Any:
        fields = [name for name in route.body.__struct_fields__ if self.draw.random() < 0.9]
        body = {name: LIKELY.get(name, self.value()) if self.draw.random() < 0.7 else self.value() for name in fields}
        return self.value() if self.draw.random() < 0.1 else body


async def test_no_route_fails_whatever_is_sent(settings: ControlSettings, clock: ManualClock) -> None:
    wide = msgspec.structs.replace(settings, limits_scale=1e6)
    async with running_control(wide, clock) as control:
        await make_admin(control, (await register(control.http, "boss"))["id"])
        await make_seller(control.http, "films")
        garbage, failed = Garbage(1), []
        for route in (route for route in ROUTES if route.name not in LEFT_OUT):
            for _ in range(ROUNDS):
                http = control.http if garbage.draw.random() < 0.8 else control.browser()
                sent: dict[str, Any] = {"params": {name: garbage.text() for name in route.query}}
                if route.body is not None:
                    sent["json"] = garbage.body(route)
                if route.name == "delete_me":
                    sent["json"] = {"password": garbage.text()}
                if route.idempotent:
                    sent["headers"] = {HEADER: new_id("key")}
                path = garbage.path(route.path)
                answer = await http.request(route.method, path, **sent)
                if answer.status_code >= 500:
                    failed.append((route.name, path, sent, answer.text))
        assert failed == []
        assert (await control.http.get("/v1/me")).status_code == 200


async def test_zero_byte_in_an_address_is_refused_as_the_document_says(
    settings: ControlSettings, clock: ManualClock
) -> None:
    wide = msgspec.structs.replace(settings, limits_scale=1e6)
    async with running_control(wide, clock) as control:
        await make_admin(control, (await register(control.http, "boss"))["id"])
        paths = (await control.http.get("/v1/openapi.json")).json()["paths"]
        failed = []
        for route in (route for route in ROUTES if route.name not in LEFT_OUT and ("{" in route.path or route.query)):
            path = re.sub(r"\{\w+(:\w+)?\}", "%00", route.path)
            answer = await control.http.request(
                route.method,
                path,
                params=dict.fromkeys(route.query, "\x00"),
                json={} if route.body is not None else None,
                headers={HEADER: new_id("key")},
            )
            told = paths[re.sub(r"\{(\w+):\w+\}", r"{\1}", route.path)][route.method.lower()]["responses"]
            if answer.status_code >= 500 or str(answer.status_code) not in told:
                failed.append((route.method, route.path, answer.status_code))
        assert failed == []
