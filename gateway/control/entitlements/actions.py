"""What is done with rights: decide, let a viewer in, take the right away."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from gateway.control.accounts.named import named, receiving
from gateway.control.auth import Principal, can, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import CONTAINERS, Title, Titles
from gateway.control.entitlements.model import (
    Admission,
    Ended,
    Entitlements,
    NewRight,
    People,
    Right,
    Standing,
    Standings,
    Viewer,
    admit,
    span_of,
    start_by,
)
from gateway.control.outbox import Outbox
from gateway.control.sellers.model import Seller
from shared.clock import Clock
from shared.errors import Conflict, Forbidden, Gone, NotFound
from shared.events import Push
from shared.ids import new_id

ENDED, BLOCKED = "right-ended", "blocked"


class Stores(Protocol):
    """One transaction."""

    @property
    def catalogue(self) -> Titles: ...
    @property
    def entitlements(self) -> Entitlements: ...
    @property
    def accounts(self) -> People: ...
    @property
    def outbox(self) -> Outbox: ...


async def may_watch(title: Title, viewer: Principal | None, *, entitlements: Entitlements, now: datetime) -> Admission:
    """Whether `viewer` may watch now, by which right, and when that ends: by what the database holds at this moment."""
    standing = await entitlements.standing(title.id, viewer.id if viewer else None)
    return admit(title, viewer, standing=standing, now=now)


async def may_see(title: Title, viewer: Principal | None, *, standings: Standings, now: datetime) -> Admission:
    """The same for what is shown: by what is kept, but nobody who has just paid is told that they have not.

    Nor is anybody told that what they have just begun has not begun.
    """
    admission = admit(title, viewer, standing=await standings.of(title, viewer), now=now)
    is_open = admission.decision.allow and (admission.right is None or admission.right.began)
    if is_open or viewer is None:
        return admission
    return admit(title, viewer, standing=await standings.anew(title, viewer), now=now)


async def begin(
    right: Right, title: Title, *, sid: str, fresh: bool, link_at: datetime, entitlements: Entitlements
) -> str:
    """A link is given by a right that does not last: its time runs from the first play, or from `link_at`.

    Gives the session the link is for: of a view always the first one, unless that is over (`fresh`). Raises Conflict
    when the right was taken back meanwhile.
    """
    if right.term == "own":
        return sid
    span_s = span_of(right, title)
    found = await entitlements.link(right.id, link_at=link_at, span_s=span_s, sid=sid, fresh=fresh)
    if found is None:
        raise Conflict("This right was taken back just now.")
    return found or sid


async def first_play(sub: str, title: str, at: datetime, *, entitlements: Entitlements, outbox: Outbox) -> None:
    """An edge sent the first media: what is rented, or for one view, ends so long after that, once and for all."""
    for begun in await entitlements.first_play(sub, title, at):
        ends_at = begun.ends_at.isoformat()
        principal, scope = begun.principal, begun.scope
        await outbox.emit("entitlement.started", principal, principal=principal, scope=scope, ends_at=ends_at)


async def end_over(*, now: datetime, limit: int, entitlements: Entitlements, outbox: Outbox) -> list[Ended]:
    """Tell of rights whose time is over, each once; so many at most of each sort."""
    ended = await entitlements.end_over(now, limit)
    for one in ended:
        await outbox.emit("entitlement.ended", one.principal, principal=one.principal, scope=one.scope)
    return ended


async def check_buyer(title: Title, buyer: Principal, *, entitlements: Entitlements, now: datetime) -> Standing:
    """How `buyer` (or whoever is to be given it) stands, who may get a right to `title`; waits for others who do.

    Raises Gone (taken down), Conflict with code `not-for-sale`, `own-title` or `already-yours`, Forbidden where the
    seller does not serve them.
    """
    await entitlements.queue_up(buyer.id, title.id)
    standing = await entitlements.standing(title.id, buyer.id)
    if title.taken_down:
        raise Gone("This title was taken down.", code="taken-down")
    if not title.on_show(now):
        raise Conflict("This title is not for sale now.", code="not-for-sale")
    if title.kind not in CONTAINERS and title.edition is None:
        raise Conflict("This title cannot be watched yet, so it is not for sale now.", code="not-for-sale")
    check_served(standing)
    if can(buyer, "title:watch", title):
        raise Conflict("Who works on a title may watch it without buying it.", code="own-title")
    if any(right.term == "own" and right.stands(now) for right in standing.rights):
        raise Conflict("This title is in your library already.", code="already-yours")
    return standing


def check_served(standing: Standing) -> None:
    """Raises Forbidden for somebody whom the seller does not serve."""
    if standing.blocked:
        raise Forbidden("The seller does not offer this title to this account.", code="entitlement-blocked")


async def receiver(username: str, *, by: Principal, entitlements: Entitlements, people: People) -> Principal:
    """Whom a gift is for. Raises NotFound for a name that nobody has, Conflict for one's own and who is shut out."""
    found = await entitlements.principal(await receiving(username, accounts=people))
    if found is None:
        raise NotFound("There is no such account.")
    if found.id == by.id:
        raise Conflict("A gift is for somebody else; buy it for yourself.", code="gift-to-oneself")
    return found


async def give(right: NewRight, *, entitlements: Entitlements, outbox: Outbox, clock: Clock) -> bool:
    """Give what was bought, in the transaction that booked it; False when its source gave it before."""
    lasts = right.term == "own"
    span_s = right.hours * 3600 if right.term == "rent" and right.hours is not None else None
    ends_at = None if lasts else start_by(clock.now())
    if not await entitlements.give(new_id("ent"), right, span_s=span_s, ends_at=ends_at):
        return False
    data = {"principal": right.principal, "scope": right.scope, "kind": "purchase"}
    await outbox.emit("entitlement.granted", right.principal, **data)
    return True


async def take_back(
    source: str, title: Title, *, entitlements: Entitlements, outbox: Outbox, clock: Clock, reason: str = ENDED
) -> bool:
    """Take away what a purchase gave (a refund, a chargeback); False when it is gone already.

    What is watched by it ends within two seconds, unless another right carries it. `title` is what was bought.
    """
    taken = await entitlements.take_back(source, clock.now())
    if taken is None:
        return False
    data = {"principal": taken.principal, "scope": taken.scope, "kind": taken.kind}
    await outbox.emit("entitlement.revoked", taken.principal, **data)
    await _end(title, taken.principal, reason=reason, entitlements=entitlements, outbox=outbox, clock=clock)
    return True


async def list_viewers(ref: str, *, by: Principal, titles: Titles, entitlements: Entitlements) -> list[Viewer]:
    """Who was let in."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "entitlement:read", title)
    return await entitlements.viewers(title.id)


async def grant(ref: str, username: str, *, by: Principal, unit: Stores) -> None:
    """Let an account watch a title. Twice is once. Raises NotFound for a name that nobody has."""
    title = await catalogue.to_change(ref, "entitlement:write", by=by, titles=unit.catalogue)
    principal = await named(username, accounts=unit.accounts)
    if await unit.entitlements.grant(new_id("ent"), principal, title.id):
        await unit.outbox.emit("entitlement.granted", principal, principal=principal, scope=title.id, kind="grant")
        await unit.outbox.audit(by.id, "entitlement:grant", title.id, after={"principal": principal}, place=by.place)


async def revoke(ref: str, username: str, *, by: Principal, unit: Stores, clock: Clock) -> None:
    """Take the right away. What the viewer plays ends within two seconds, unless another right carries it."""
    title = await catalogue.to_change(ref, "entitlement:write", by=by, titles=unit.catalogue)
    principal, outbox = await named(username, accounts=unit.accounts), unit.outbox
    viewer = await unit.entitlements.principal(principal)
    if viewer is not None:  # one after the other, so that the last of several rights to go ends what plays
        await outbox.alone(sub=viewer.sub)
    if not await unit.entitlements.revoke(principal, title.id, clock.now()):
        return
    await outbox.emit("entitlement.revoked", principal, principal=principal, scope=title.id, kind="grant")
    await outbox.audit(by.id, "entitlement:revoke", title.id, before={"principal": principal}, place=by.place)
    await _end(title, principal, reason=ENDED, entitlements=unit.entitlements, outbox=outbox, clock=clock)


async def block(seller: Seller, username: str, *, by: Principal, unit: Stores, clock: Clock) -> None:
    """Serve somebody no more: they buy nothing of this seller, and what they play ends within two seconds.

    Twice is once. Raises NotFound for a name that nobody has, Conflict for who works for this seller.
    """
    require(by, "entitlement:write", seller)
    principal = await named(username, accounts=unit.accounts)
    if await unit.entitlements.works_for(principal, [seller.id]):
        raise Conflict("This account works for the seller.", code="works-here")
    if not await unit.entitlements.block(seller.id, principal, clock.now()):
        return
    await unit.outbox.emit("viewer.blocked", principal, seller=seller.id, principal=principal)
    await unit.outbox.audit(by.id, "viewer:block", seller.id, after={"principal": principal}, place=by.place)
    viewer = await unit.entitlements.principal(principal)
    if viewer is not None:
        await unit.outbox.push(Push(kind="sub", key=viewer.sub, iat=int(clock.epoch()) + 1, reason=BLOCKED))


async def unblock(seller: Seller, username: str, *, by: Principal, unit: Stores) -> None:
    """Serve somebody again; what they own can be watched as before."""
    require(by, "entitlement:write", seller)
    principal = await named(username, accounts=unit.accounts)
    if await unit.entitlements.unblock(seller.id, principal):
        await unit.outbox.emit("viewer.unblocked", principal, seller=seller.id, principal=principal)
        await unit.outbox.audit(by.id, "viewer:unblock", seller.id, before={"principal": principal}, place=by.place)


async def list_blocked(seller: Seller, *, by: Principal, entitlements: Entitlements) -> list[Viewer]:
    """Whom a seller does not serve."""
    require(by, "entitlement:read", seller)
    return await entitlements.blocked(seller.id)


async def _end(
    title: Title, principal: str, *, reason: str, entitlements: Entitlements, outbox: Outbox, clock: Clock
) -> None:
    """End what somebody plays, unless they may still watch this title. Of a season or a series all goes."""
    viewer = await entitlements.principal(principal)
    if viewer is None:
        return
    admission = await may_watch(title, viewer, entitlements=entitlements, now=clock.now())
    if not admission.decision.allow:
        # A session that is paused holds no seat that would name it, so all links of this viewer end; for what they
        # may still watch the player asks for a new one by itself.
        await outbox.push(Push(kind="sub", key=viewer.sub, iat=int(clock.epoch()) + 1, reason=reason))
