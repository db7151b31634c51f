"""Logged-in devices: which there are, logging one out, and sweeping those that are over."""

from __future__ import annotations

from gateway.control.accounts.model import AccountRows, Devices
from gateway.control.auth import Principal
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import NotFound


async def devices(by: Principal, *, accounts: AccountRows, clock: Clock) -> Devices:
    """One's logins that run, the last seen first."""
    return Devices(await accounts.devices(by.id, by.login, clock.now()))


async def revoke(by: Principal, device: str, *, accounts: AccountRows, outbox: Outbox) -> None:
    """Log one of one's devices out. Raises NotFound, for other people's too."""
    if not await accounts.end_login(by.id, device):
        raise NotFound("No such device is logged in.")
    await outbox.emit("auth.logout", by.id, principal=by.id)


async def sweep(*, accounts: AccountRows, clock: Clock) -> None:
    """Drop logins and reset links that are over; the worker does it now and then."""
    await accounts.sweep(clock.now())
