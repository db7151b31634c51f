"""Who shares in a title's sales, and looking at a purchase."""

from __future__ import annotations

from gateway.control.auth import Principal, can, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import Titles
from gateway.control.checkout.model import Partners, Purchase, Purchases
from gateway.control.checkout.shares import Partner, share_out
from gateway.control.outbox import Outbox
from gateway.control.sellers import actions as sellers
from gateway.control.sellers.model import SellerRows
from shared.errors import Invalid, NotFound


async def read_partners(ref: str, *, by: Principal, titles: Titles, purchases: Purchases) -> Partners:
    """The partners of a title, for who sells it. Raises NotFound, Forbidden."""
    title = await catalogue.find(ref, by=by, titles=titles)
    require(by, "title:report", title)
    return Partners(await purchases.partner_handles(title.id))


async def set_partners(
    ref: str,
    wanted: Partners,
    *,
    by: Principal,
    place: str,
    titles: Titles,
    purchases: Purchases,
    directory: SellerRows,
    outbox: Outbox,
) -> Partners:
    """Who shares in sales from now on; what was sold before stays shared as it was.

    Raises NotFound, Forbidden, Invalid for shares that are more than all, a seller named twice, the title's own, and
    one that nobody owns any more.
    """
    # Who may send earnings elsewhere may take them out.
    title = await catalogue.to_change(ref, "payout:write", by=by, titles=titles)
    before = await purchases.partner_handles(title.id)
    found = [Partner((await sellers.read(one.seller, sellers=directory)).id, one.share_bp) for one in wanted.items]
    share_out(0, 0, title.seller, partners=found)
    handles = {one.seller: item.seller for one, item in zip(found, wanted.items, strict=True)}
    if lost := sorted(handles.keys() - await directory.owned(handles)):
        raise Invalid(f"Nobody looks after {handles[lost[0]]} any more, so nobody could take out its share.")
    await purchases.set_partners(title.id, found)
    after = await purchases.partner_handles(title.id)
    said = [{one.seller: one.share_bp for one in items} for items in (before, after)]
    await outbox.audit(by.id, "title:partners", title.id, before=said[0], after=said[1], place=place)
    return Partners(after)


async def read_purchase(id: str, *, by: Principal, purchases: Purchases) -> Purchase:
    """A purchase, for who pays and for who may see payments. Raises NotFound for other people's."""
    found = await purchases.by_id(id)
    if found is None or (found.principal != by.id and not can(by, "payment:read")):
        raise NotFound("There is no such purchase.")
    return found
