"""Opening providers: only those that are named, and none without its secrets."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.control.payments.providers.open import TABLE, Parts, Providers, open_providers
from shared.clock import ManualClock
from shared.errors import Misconfigured, NotFound
from shared.secrets import STRIPE_KEY, STRIPE_WEBHOOK, FolderSecrets
from shared.settings import ControlSettings


async def opened(folder: Path, payments: str, *, origin: str = "http://localhost:8700", **secrets: str) -> Providers:
    """Providers by a setting; nothing of them asks a database here."""
    settings = ControlSettings(payments=payments, public_origin=origin)
    held = FolderSecrets(folder, {})
    for name, value in secrets.items():
        held.write(name.replace("_", "-"), value.encode())
    async with AsyncExitStack() as stack:
        return await open_providers(stack, Parts(settings, held, _nothing, ManualClock()))


def _nothing() -> None:
    raise AssertionError("nothing is asked at a start")


async def test_providers_that_are_named_are_opened_once_and_no_others(tmp_path: Path) -> None:
    secrets = {STRIPE_KEY: "sk_test_1", STRIPE_WEBHOOK: "whsec_1"}
    found = await opened(tmp_path, "stripe@inc:US stripe@bv sandbox", **secrets)
    assert [(rail.provider, rail.legal_entity) for rail in found.rails] == [
        ("stripe", "inc"), ("stripe", "bv"), ("sandbox", "usher"),
    ]  # fmt: skip
    assert {name: found.named(name).name for name in found.by_name} == {name: name for name in TABLE}
    alone = await opened(tmp_path, "sandbox")
    with pytest.raises(NotFound):
        alone.named("stripe")


@pytest.mark.parametrize(
    ("payments", "words"), [("paypal", "paypal"), ("sandbox;stripe", "sandbox;stripe"), ("", "No")]
)
async def test_unknown_provider_stops_the_start(tmp_path: Path, payments: str, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        await opened(tmp_path, payments)


async def test_sandbox_beside_real_money_stops_the_start_where_others_can_reach_it(tmp_path: Path) -> None:
    secrets, origin = {STRIPE_KEY: "sk_test_1", STRIPE_WEBHOOK: "whsec_1"}, "https://films.example"
    with pytest.raises(Misconfigured, match="USHER_PAYMENTS"):
        await opened(tmp_path, "stripe sandbox:ID", origin=origin, **secrets)
    for one in ("stripe", "sandbox"):
        assert list((await opened(tmp_path, one, origin=origin, **secrets)).by_name) == [one]


@pytest.mark.parametrize("held", [{}, {STRIPE_KEY: "sk"}, {STRIPE_WEBHOOK: "whsec"}])
async def test_stripe_without_a_secret_stops_the_start(tmp_path: Path, held: dict[str, str]) -> None:
    with pytest.raises(Misconfigured, match="stripe-"):
        await opened(tmp_path, "stripe", **held)
