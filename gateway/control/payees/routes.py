"""Routes of sellers' accounts at payment providers."""

from __future__ import annotations

from gateway.control.limits import AUTH, READ
from gateway.control.payees import actions
from gateway.control.payees.model import Link, Opening, Payees
from gateway.control.route import Call, Route


async def list_payees(call: Call[None]) -> Payees:
    """A seller's accounts at payment providers, what is missing there, and where they may open one."""
    async with call.wiring["begin"]() as unit:
        providers = call.wiring["providers"].by_name.values()
        return await actions.read(call.path("handle"), by=call.principal, providers=providers, unit=unit)


async def onboard_payee(call: Call[Opening]) -> Link:
    """A link to the provider's page, on which a seller says who they are and where to be paid."""
    return await actions.onboard(
        call.path("handle"),
        call.body.country,
        by=call.principal,
        provider=call.wiring["providers"].named(call.path("provider")),
        page=f"{call.wiring['settings'].public_origin.rstrip('/')}/payouts",
        begin=call.wiring["begin"],
    )


PATH = "/v1/sellers/{handle}/payees"
ROUTES: list[Route] = [
    Route("GET", PATH, list_payees, limit=READ, problems=(403,)),
    Route("POST", f"{PATH}/{{provider}}", onboard_payee, limit=AUTH, problems=(409,)),
]
