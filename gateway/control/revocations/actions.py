"""Ending links before their time: of one session, of a viewer, of a title. Rights stay as they are."""

from __future__ import annotations

from gateway.control.accounts.model import fold
from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.outbox import Outbox
from gateway.control.revocations.model import Kind, People, Principals, Revocation, RevocationOrder
from gateway.control.screenings import actions as ending
from gateway.control.screenings.model import Screening, Screenings
from shared.clock import Clock
from shared.errors import NotFound
from shared.events import Push
from shared.ids import is_id

#: What the edges say to who played; the order's own reason is for the record alone.
REVOKED = "revoked"
WORDS: dict[Kind, str] = {
    "session": "There is no such session, or its links are over.",
    "viewer": "There is no such viewer.",
}


async def revoke(
    order: RevocationOrder,
    *,
    by: Principal,
    place: str,
    screenings: Screenings,
    titles: Titles,
    people: People,
    principals: Principals,
    outbox: Outbox,
    clock: Clock,
) -> tuple[Revocation, list[Screening]]:
    """End what was given so far, within a second, for good; what is given later plays. Also the sessions to free.

    Raises Forbidden, NotFound.
    """
    require(by, "playback:revoke")
    sessions: list[Screening] = []
    if order.kind == "session":
        sessions = [await _session(order.id, screenings)]
        id = sessions[0].sid
        await ending.end(sessions[0], reason=REVOKED, outbox=outbox)
    elif order.kind == "viewer":
        viewer = await _viewer(order.id, people, principals)
        id = viewer.id
        await outbox.push(Push("sub", viewer.sub, int(clock.epoch()) + 1, REVOKED))
    else:
        id = (await catalogue.find(order.id, by=by, titles=titles)).id
        await outbox.push(Push("title", id, int(clock.epoch()) + 1, REVOKED))
    after = {"kind": order.kind, "reason": order.reason}
    await outbox.audit(by.id, "playback:revoke", id, after=after, place=place)
    return Revocation(kind=order.kind, id=id, reason=order.reason, at=clock.now()), sessions


async def _session(sid: str, screenings: Screenings) -> Screening:
    found = await screenings.by_sid(sid)
    if found is None:
        raise NotFound(WORDS["session"])
    return found


async def _viewer(ref: str, people: People, principals: Principals) -> Principal:
    id = ref if is_id(ref, "usr") else await people.principal_named(fold(ref))
    found = await principals.principal(id) if id else None
    if found is None:
        raise NotFound(WORDS["viewer"])
    return found
