"""What a route takes and gives is what its handler's signature says, and its problems follow from its shape."""

from __future__ import annotations

import msgspec
import pytest
from starlette.responses import Response

from gateway.control.app import ROUTES
from gateway.control.limits import WRITE
from gateway.control.openapi import implied
from gateway.control.route import Call, Handler, Route


class Order(msgspec.Struct):
    """What is asked for."""


class Thing(msgspec.Struct):
    """What is answered."""


class Desk:
    """Handlers that are methods."""

    async def order(self, call: Call[Order]) -> Thing:
        """Order."""
        return Thing()


async def look(call: Call[None]) -> Thing:
    """Look."""
    return Thing()


async def leave(call: Call[Order]) -> None:
    """Leave."""


async def answer(call: Call[None]) -> Response:
    """Answer."""
    return Response()


@pytest.mark.parametrize(
    ("handler", "body", "returns"),
    [(Desk().order, Order, Thing), (look, None, Thing), (leave, Order, None), (answer, None, None)],
)
def test_route_takes_and_gives_what_its_handler_says(handler: Handler, body: object, returns: object) -> None:
    route = Route("POST", "/v1/things", handler, limit=WRITE)
    assert (route.body, route.returns) == (body, returns)


def test_route_gives_what_it_says_where_its_handler_makes_the_response() -> None:
    assert Route("POST", "/v1/things", answer, limit=WRITE, returns=Thing).returns is Thing


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
def test_route_names_only_problems_that_do_not_follow_from_the_rest(route: Route) -> None:
    assert not set(route.problems) & implied(route)
