"""A route that needs an idempotency key says so in the API's document."""

from __future__ import annotations

from typing import Any

from gateway.control import openapi
from gateway.control.limits import WRITE
from gateway.control.route import Call, Route


async def pay(call: Call[None]) -> None:
    """Pay."""


def operation(**more: Any) -> dict[str, Any]:
    """What the document says of a route."""
    route = Route(method="POST", path="/v1/pay", handler=pay, limit=WRITE, **more)
    found: dict[str, Any] = openapi.document([route], title="T", version="1")["paths"]["/v1/pay"]["post"]
    return found


def test_idempotent_route_names_its_header_and_what_it_may_refuse() -> None:
    found = operation(idempotent=True)
    assert [(one["name"], one["in"], one["required"]) for one in found["parameters"]] == [
        ("Idempotency-Key", "header", True)
    ]
    assert {"409", "422"} <= set(found["responses"])


def test_other_route_names_none() -> None:
    found = operation()
    assert found["parameters"] == [] and not {"409", "422"} & set(found["responses"])
