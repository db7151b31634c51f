"""Opens the payment providers that are enabled; the others are never imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from gateway.control.db import Begin
from gateway.control.payments.providers.base import Payer, Provider, Rail, parse_rails
from shared.clock import Clock
from shared.errors import Misconfigured, NotFound
from shared.network import is_loopback
from shared.secrets import Secrets
from shared.settings import ControlSettings

#: Whoever names it to pay by is charged nothing.
PLAY = "sandbox"
#: Each module has `open_provider(stack, parts)`.
TABLE = {
    "sandbox": "gateway.control.payments.providers.sandbox",
    "stripe": "gateway.control.payments.providers.stripe",
}


@dataclass(frozen=True, slots=True)
class Parts:
    """What a provider may be made of. `begin` gives the stores of all features, of which each asks for its own."""

    settings: ControlSettings
    secrets: Secrets
    begin: Begin[Any]
    clock: Clock


@dataclass(frozen=True, slots=True)
class Providers:
    """The providers in use, and which serves whom."""

    rails: Sequence[Rail]
    by_name: Mapping[str, Provider]

    def named(self, name: str) -> Provider:
        """A provider. Raises NotFound for one that is unknown or not in use."""
        if name not in self.by_name:
            raise NotFound(f"There is no payment provider {name} here.")
        return self.by_name[name]

    @property
    def payers(self) -> Mapping[str, Payer]:
        """Those that pay sellers out by themselves, by name."""
        return {name: provider for name, provider in self.by_name.items() if isinstance(provider, Payer)}


async def open_providers(stack: AsyncExitStack, parts: Parts) -> Providers:
    """What `USHER_PAYMENTS` names, closed with the stack.

    Raises Misconfigured (unknown name, missing secret, the sandbox where real money is taken).
    """
    settings = parts.settings
    rails = parse_rails(settings.payments, legal_entity=settings.legal_entity, descriptor=settings.payment_descriptor)
    by_name: dict[str, Provider] = {}
    names = list(dict.fromkeys(rail.provider for rail in rails))
    if PLAY in names and len(names) > 1 and not is_loopback(urlsplit(settings.public_origin).hostname or ""):
        raise Misconfigured(
            f"USHER_PAYMENTS is {settings.payments!r}: {PLAY} stands beside others on this machine alone, for there "
            "anybody pays with money that is none; leave it out."
        )
    for name in names:
        if name not in TABLE:
            raise Misconfigured(f"USHER_PAYMENTS names {name}; there is {' and '.join(TABLE)}.")
        by_name[name] = await import_module(TABLE[name]).open_provider(stack, parts)
    return Providers(rails, by_name)
