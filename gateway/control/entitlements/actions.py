"""What is done with rights: decide, let a viewer in, take the right away."""

from __future__ import annotations

from datetime import datetime

from gateway.control.accounts.model import fold
from gateway.control.auth import Principal, can, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Title, Titles
from gateway.control.entitlements.model import (
    Decision,
    Entitlements,
    Facts,
    People,
    Viewer,
    decide,
    last_end,
)
from gateway.control.outbox import Outbox
from shared.clock import Clock
from shared.errors import NotFound
from shared.events import Push
from shared.ids import new_id


async def may_watch(
    title: Title, viewer: Principal | None, *, entitlements: Entitlements, now: datetime
) -> tuple[Decision, datetime | None]:
    """Whether `viewer` may watch now, and when that ends (None: nothing ends it)."""
    rights = await entitlements.rights(viewer.id, title.id, now) if viewer else []
    facts = Facts(
        taken_down=title.taken_down,
        ready=title.edition is not None,
        on_show=title.on_show(now),
        free=title.price_minor == 0,
        owner=can(viewer, "title:watch", title),
        admin=can(viewer, "title:watch"),
        grant=any(right.kind == "grant" for right in rights),
        purchase=any(right.kind == "purchase" for right in rights),
    )
    if facts.owner or facts.admin:
        end = None
    elif facts.free:
        end = title.window_until
    else:
        end = min((at for at in (title.window_until, last_end(rights)) if at), default=None)
    return decide(facts), end


async def list_viewers(ref: str, *, by: Principal, titles: Titles, entitlements: Entitlements) -> list[Viewer]:
    """Who was let in."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "entitlement:read", title)
    return await entitlements.viewers(title.id)


async def grant(
    ref: str,
    username: str,
    *,
    by: Principal,
    titles: Titles,
    entitlements: Entitlements,
    people: People,
    outbox: Outbox,
) -> None:
    """Let an account watch a title. Twice is once. Raises NotFound for a name that nobody has."""
    title = await catalogue.to_change(ref, "entitlement:write", by=by, titles=titles)
    principal = await _named(username, people)
    if await entitlements.grant(new_id("ent"), principal, title.id):
        await outbox.emit("entitlement.granted", principal, principal=principal, scope=title.id, kind="grant")


async def revoke(
    ref: str,
    username: str,
    *,
    by: Principal,
    titles: Titles,
    entitlements: Entitlements,
    people: People,
    outbox: Outbox,
    clock: Clock,
) -> None:
    """Take the right away. What the viewer plays ends within two seconds, unless another right carries it."""
    title = await catalogue.to_change(ref, "entitlement:write", by=by, titles=titles)
    principal = await _named(username, people)
    if not await entitlements.revoke(principal, title.id, clock.now()):
        return
    await outbox.emit("entitlement.revoked", principal, principal=principal, scope=title.id, kind="grant")
    viewer = await entitlements.principal(principal)
    if viewer is None:
        return
    decision, _ = await may_watch(title, viewer, entitlements=entitlements, now=clock.now())
    if not decision.allow:
        # A session that is paused holds no seat that would name it, so all links of this viewer end; for what they
        # may still watch the player asks for a new one by itself.
        await outbox.push(Push(kind="sub", key=viewer.sub, iat=int(clock.epoch()) + 1, reason="right-ended"))


async def _named(username: str, people: People) -> str:
    principal = await people.principal_named(fold(username))
    if principal is None:
        raise NotFound("There is no such account.")
    return principal
