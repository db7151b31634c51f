"""Routes of webhooks out: endpoints of a seller or of the platform, and what is delivered to them."""

from __future__ import annotations

from gateway.control.limits import READ, WRITE, Limit
from gateway.control.route import Call, Route
from gateway.control.webhooks import actions
from gateway.control.webhooks.model import (
    PAGE,
    Change,
    Deliveries,
    Delivery,
    Endpoints,
    EndpointView,
    NewEndpoint,
    view,
)
from shared.errors import Invalid

#: Each may make our worker ask somebody's server.
SEND = Limit(20)
LISTS = ("", "dead")


async def list_webhook_endpoints(call: Call[None]) -> Endpoints:
    """The endpoints of a seller, or of the platform."""
    async with call.wiring["begin"]() as unit:
        found = await actions.read(call.query("seller"), by=call.principal, unit=unit)
    return Endpoints([view(one) for one in found])


async def add_webhook_endpoint(call: Call[NewEndpoint]) -> EndpointView:
    """Have a seller, or the platform, told at an address; its secret is shown once."""
    wiring = call.wiring
    async with wiring["begin"]() as unit:
        made = await actions.add(
            call.body,
            by=call.principal,
            place=call.place,
            unit=unit,
            clock=wiring["clock"],
            loopback=wiring["settings"].webhooks_loopback,
        )
    return view(made, with_secret=True)


async def change_webhook_endpoint(call: Call[Change]) -> EndpointView:
    """Change an endpoint's address or types, or switch it off or on."""
    wiring = call.wiring
    async with wiring["begin"]() as unit:
        changed = await actions.change(
            call.path("endpoint"),
            call.body,
            by=call.principal,
            place=call.place,
            unit=unit,
            clock=wiring["clock"],
            loopback=wiring["settings"].webhooks_loopback,
        )
    return view(changed)


async def remove_webhook_endpoint(call: Call[None]) -> None:
    """Remove an endpoint; what waits for it is dropped."""
    async with call.wiring["begin"]() as unit:
        await actions.remove(call.path("endpoint"), by=call.principal, place=call.place, unit=unit)


async def rotate_webhook_secret(call: Call[None]) -> EndpointView:
    """Give an endpoint a new secret, shown once; the one before signs beside it for a day."""
    wiring = call.wiring
    async with wiring["begin"]() as unit:
        changed = await actions.rotate(
            call.path("endpoint"), by=call.principal, place=call.place, unit=unit, clock=wiring["clock"]
        )
    return view(changed, with_secret=True)


async def test_webhook_endpoint(call: Call[None]) -> Delivery:
    """Send an endpoint a message of type `test`; its delivery tells what comes of it."""
    async with call.wiring["begin"]() as unit:
        return await actions.test(call.path("endpoint"), by=call.principal, unit=unit, clock=call.wiring["clock"])


async def list_webhook_deliveries(call: Call[None]) -> Deliveries:
    """What was sent, waits or was given up, the newest first."""
    if (state := call.query("state")) not in LISTS:
        raise Invalid("state may be dead, or be left out.")
    async with call.wiring["begin"]() as unit:
        found = await actions.listed(
            call.path("endpoint"), by=call.principal, unit=unit, state=state, before=call.query("before")
        )
    return Deliveries(found[:PAGE], found[PAGE - 1].id if len(found) > PAGE else None)


async def replay_webhook_delivery(call: Call[None]) -> Delivery:
    """Send a delivery again, under the same webhook-id and with the same body."""
    async with call.wiring["begin"]() as unit:
        return await actions.replay_one(
            call.path("delivery"),
            endpoint=call.path("endpoint"),
            by=call.principal,
            unit=unit,
            clock=call.wiring["clock"],
        )


PATH = "/v1/webhook-endpoints"
ONE = PATH + "/{endpoint}"
ROUTES: list[Route] = [
    Route(
        "GET",
        PATH,
        list_webhook_endpoints,
        limit=READ,
        problems=(403, 404),
        query={"seller": "handle of the seller; left out: the platform's endpoints"},
    ),
    Route("POST", PATH, add_webhook_endpoint, limit=WRITE, status=201, problems=(404, 409)),
    Route("PATCH", ONE, change_webhook_endpoint, limit=WRITE),
    Route("DELETE", ONE, remove_webhook_endpoint, limit=WRITE),
    Route("POST", f"{ONE}/secret", rotate_webhook_secret, limit=WRITE),
    Route("POST", f"{ONE}/test", test_webhook_endpoint, limit=SEND, status=202, problems=(409,)),
    Route(
        "GET",
        f"{ONE}/deliveries",
        list_webhook_deliveries,
        limit=READ,
        problems=(403,),
        query={"state": "dead: those that were given up", "before": "a page's `next`"},
    ),
    Route(
        "POST",
        f"{ONE}/deliveries/{{delivery}}/replay",
        replay_webhook_delivery,
        limit=SEND,
        status=202,
        problems=(409,),
    ),
]
