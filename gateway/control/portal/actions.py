"""What is done with the portal: read it, furnish it, set it up with its first admin."""

from __future__ import annotations

import hashlib

import msgspec

from gateway.control.accounts import actions as people
from gateway.control.accounts.model import AccountRows, Browser, Opened
from gateway.control.accounts.sessions import Sessions
from gateway.control.auth import ADMIN, Principal, require
from gateway.control.outbox import Outbox
from gateway.control.portal.model import Furnishing, Portal, PortalRows, Settings, SettingUp, furnished, shown
from shared.errors import Conflict


async def read_portal(*, portal: PortalRows) -> Portal:
    """The portal as it is; pages read it through `PortalReader`."""
    return shown(await portal.read(), needs_setup=not await portal.has_admin())


async def furnish(asked: Furnishing, *, by: Principal, place: str, portal: PortalRows, outbox: Outbox) -> Portal:
    """Change settings; the rest stays."""
    require(by, "portal:write")
    before = await portal.lock()
    after = furnished(before, asked)
    await portal.write(after)
    was, now = _said(before), _said(after)
    fields = [name for name in now if now[name] != was[name]]
    await outbox.audit(
        by.id,
        "portal.change",
        "portal",
        before={name: was[name] for name in fields},
        after={name: now[name] for name in fields},
        place=place,
    )
    return await read_portal(portal=portal)


async def set_up(
    asked: SettingUp,
    password_hash: str,
    *,
    browser: Browser,
    portal: PortalRows,
    accounts: AccountRows,
    outbox: Outbox,
    sessions: Sessions,
) -> Opened:
    """Name the portal, and make and log in its first admin. Raises Conflict where there is one: of two, one wins."""
    settings = await portal.lock()
    if await portal.has_admin():
        raise Conflict("This portal is set up; log in.", code="set-up")
    opened = await people.register(
        asked.email,
        asked.username,
        password_hash,
        browser=browser,
        roles=(ADMIN,),
        accounts=accounts,
        outbox=outbox,
        sessions=sessions,
    )
    await portal.write(msgspec.structs.replace(settings, name=asked.portal_name))
    return opened


def _said(settings: Settings) -> dict[str, object]:
    """The settings as the audit and events tell them; legal texts name people, so only their hash."""
    said = msgspec.structs.asdict(settings)
    return said | {"legal_text": hashlib.sha256(settings.legal_text.encode()).hexdigest()[:16]}
