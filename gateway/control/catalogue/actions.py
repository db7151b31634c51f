"""What is done with titles: create, change, publish, archive, take down, restore, and what the farm's work does."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gateway.control.auth import GLOBAL, Principal, can, require
from gateway.control.catalogue.model import (
    DRAWS,
    UPLOADABLE,
    Listing,
    NewTitle,
    TakedownOrder,
    Title,
    TitleChange,
    Titles,
    check_move,
    check_parent,
    check_still,
    check_window,
    may_know,
    search_terms,
    short_id_length,
)
from gateway.control.catalogue.slug import slug_of
from gateway.control.outbox import Outbox
from gateway.control.paging import EVER, Cursor, before
from shared import money
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound
from shared.events import Push
from shared.ids import SHORT_MAX, SHORT_MIN, draw_short_id, fold_short_id, is_chosen_short_id, is_id, new_id
from shared.jobs import Finished

Draw = Callable[[int], str]
NO_TITLE = "There is no such title."
#: The ceilings of an edition without a picture.
SOUND_ONLY = ("audio",)
#: What a title tells of a version before there is one.
UNMADE: Mapping[str, Any] = {
    "version": None,
    "edition": None,
    "ceilings": [],
    "duration_s": None,
    "width": None,
    "height": None,
    "sound_only": False,
    "making": False,
}
#: Tries to get a name that others take at the same moment.
TRIES = 200


class Partner:
    """Something a seller owns, for `can`."""

    def __init__(self, seller: str) -> None:
        self.seller = seller


async def find(ref: str, *, by: Principal | None, titles: Titles, lock: bool = False) -> Title:
    """The title of an internal or short id. Raises NotFound for none and for one that `by` may not know of."""
    if is_id(ref, "ttl"):
        title = await titles.by_id(ref, lock=lock)
    elif SHORT_MIN <= len(ref) <= SHORT_MAX and ref.isascii() and ref.isalnum():
        title = await titles.by_short_id(fold_short_id(ref))
        title = await titles.by_id(title.id, lock=True) if title and lock else title
    else:
        title = None
    if title is None or not may_know(by, title):
        raise NotFound(NO_TITLE)
    return title


async def to_change(ref: str, permission: str, *, by: Principal | None, titles: Titles) -> Title:
    """The title, its row held, that `by` may do `permission` to. Raises NotFound, Unauthenticated or Forbidden."""
    title = await find(ref, by=by, titles=titles, lock=True)
    require(by, permission, title)
    return title


async def create(
    new: NewTitle, *, by: Principal, titles: Titles, outbox: Outbox, clock: Clock, draw: Draw = draw_short_id
) -> Title:
    """A draft. Raises NotFound for a seller that `by` does not work for, Invalid, or Conflict for a taken short id."""
    seller = await titles.seller_id(new.seller)
    if seller is None or not can(by, "title:write", Partner(seller)):
        raise NotFound("There is no such seller among yours.")
    parent = await _parent(new.parent_id, by=by, titles=titles)
    check_parent(new.kind, parent, seller=seller)
    if new.short_id is not None:
        _check_chosen(new.short_id)
    currency = new.currency or await titles.default_currency()
    money.decimals(currency)
    draft = _draft(new, seller=seller, currency=currency, at=clock.now())
    title = await _insert(draft, chosen=new.short_id, titles=titles, draw=draw)
    await outbox.emit("title.created", title.id, title=title.id, seller=seller)
    await outbox.audit(by.id, "title:create", title.id, after={"seller": seller, "kind": title.kind}, place=by.place)
    return title


async def change(ref: str, wanted: TitleChange, *, by: Principal, titles: Titles, outbox: Outbox) -> Title:
    """Set what was sent. Raises Conflict for the short id of a title that was published once.

    And for its way out of a series or season that somebody bought.
    """
    title = await to_change(ref, "title:write", by=by, titles=titles)
    fields = wanted.fields()
    if "short_id" in fields and fields["short_id"] != title.short_id:
        _check_chosen(fields["short_id"])
        if title.frozen:
            raise Conflict("The short id stands for good once a title was published.", code="short-id-frozen")
    if "currency" in fields:
        money.decimals(fields["currency"])
    if "poster" in fields:
        check_still(title, fields["poster"])
    check_window(fields.get("window_from", title.window_from), fields.get("window_until", title.window_until))
    if "parent_id" in fields:
        parent = await _parent(fields["parent_id"], by=by, titles=titles)
        check_parent(title.kind, parent, seller=title.seller)
        await _check_stays(title, parent, titles=titles)
        fields["parent"] = fields.pop("parent_id")
    if "name" in fields and slug_of(fields["name"]) != slug_of(title.name):
        fields["slug"] = await _free_slug(title.seller, fields["name"], titles=titles)
    if fields:
        await titles.update(title.id, fields)
        await outbox.emit("title.updated", title.id, title=title.id, fields=sorted(fields))
        was, now = _said(msgspec.structs.asdict(title), fields), _said(fields, fields)
        await outbox.audit(by.id, "title:change", title.id, before=was, after=now, place=by.place)
    return await _again(title, titles)


async def publish(ref: str, *, by: Principal, titles: Titles, outbox: Outbox, clock: Clock) -> Title:
    """Show it to the public (within its window). The day of the first time stays."""
    title = await to_change(ref, "title:publish", by=by, titles=titles)
    check_move(title, "published")
    await titles.update(title.id, {"state": "published", "published_at": title.published_at or clock.now()})
    await outbox.emit("title.published", title.id, title=title.id)
    was, now = {"state": title.state}, {"state": "published"}
    await outbox.audit(by.id, "title:publish", title.id, before=was, after=now, place=by.place)
    return await _again(title, titles)


async def archive(ref: str, *, by: Principal, titles: Titles, outbox: Outbox) -> Title:
    """Take it off the shelf; nobody but its seller sees it, and `publish` brings it back."""
    title = await to_change(ref, "title:publish", by=by, titles=titles)
    check_move(title, "archived")
    await titles.update(title.id, {"state": "archived"})
    await outbox.emit("title.archived", title.id, title=title.id)
    was, now = {"state": title.state}, {"state": "archived"}
    await outbox.audit(by.id, "title:archive", title.id, before=was, after=now, place=by.place)
    return await _again(title, titles)


async def take_down(
    ref: str, order: TakedownOrder, *, by: Principal, place: str, titles: Titles, outbox: Outbox, clock: Clock
) -> Title:
    """End every play of it within two seconds and show the notice instead. Recorded with who and why."""
    title = await to_change(ref, "title:takedown", by=by, titles=titles)
    before = {"reason": title.takedown_reason, "notice": title.takedown_notice} if title.taken_down else None
    after = {"reason": order.reason, "notice": order.notice}
    fields = {"taken_down_at": title.taken_down_at or clock.now(), "takedown_reason": order.reason}
    await titles.update(title.id, {**fields, "takedown_notice": order.notice})
    await outbox.audit(by.id, "title:takedown", title.id, before=before, after=after, place=place)
    await outbox.emit("title.takedown", title.id, title=title.id, reason=order.reason)
    # One second ahead, for a link that was minted by a clock which is before this one.
    await outbox.push(Push(kind="title", key=title.id, iat=int(clock.epoch()) + 1, reason="taken-down"))
    return await _again(title, titles)


async def restore(ref: str, *, by: Principal, place: str, titles: Titles, outbox: Outbox) -> Title:
    """Undo a takedown; links minted before it stay dead."""
    title = await to_change(ref, "title:takedown", by=by, titles=titles)
    if not title.taken_down:
        raise Conflict("This title is not taken down.")
    before = {"reason": title.takedown_reason, "notice": title.takedown_notice}
    await titles.update(title.id, {"taken_down_at": None, "takedown_reason": None, "takedown_notice": None})
    await outbox.audit(by.id, "title:restore", title.id, before=before, after=None, place=place)
    await outbox.emit("title.restored", title.id, title=title.id)
    return await _again(title, titles)


async def shelf(
    text: str, *, parent: str, after: Cursor | None, limit: int, titles: Titles, now: datetime
) -> tuple[list[Title], Cursor | None]:
    """A page of what the public may watch, newest first, and where the next one starts."""
    found = await titles.shelf(search_terms(text), parent=parent or None, now=now, after=after, limit=limit + 1)
    return _page(found, limit, lambda title: Cursor(title.published_at or title.created_at, title.id))


async def studio(
    seller: str, *, by: Principal, after: Cursor | None, limit: int, titles: Titles
) -> tuple[list[Title], Cursor | None]:
    """A page of a seller's titles in any state, newest first; without a seller, of all that `by` works for."""
    if seller:
        one = await titles.seller_id(seller)
        if one is None or not can(by, "title:read", Partner(one)):
            raise NotFound("There is no such seller among yours.")
        sellers = [one]
    else:
        held = (assignment.scope for assignment in by.assignments if assignment.scope != GLOBAL)
        named = [scope.removeprefix("partner:") for scope in held if scope.startswith("partner:")]
        sellers = [one for one in named if can(by, "title:read", Partner(one))]
    found = await titles.of_sellers(sellers, after=after, limit=limit + 1)
    return _page(found, limit, lambda title: Cursor(title.created_at, title.id))


async def everybodys(
    text: str, state: Listing | None, *, by: Principal, after: Cursor | None, limit: int, titles: Titles
) -> tuple[list[Title], Cursor | None]:
    """A page of all sellers' titles, newest first, for those who run the platform. Raises Forbidden."""
    require(by, "title:read")
    place = before(after, EVER[1])
    found = await titles.everybodys(search_terms(text), state=state or "", before=place, limit=limit + 1)
    return _page(found, limit, lambda title: Cursor(title.created_at, title.id))


async def check_uploadable(ref: str, *, by: Principal, titles: Titles) -> Title:
    """The title that `by` may give a (new) master. Raises NotFound, Forbidden, Conflict or Invalid."""
    title = await to_change(ref, "title:upload", by=by, titles=titles)
    if title.kind in ("series", "season"):
        raise Invalid(f"A {title.kind} has no media of its own; upload to its episodes.")
    if title.taken_down:
        raise Conflict("This title is taken down.", code="taken-down")
    if title.state not in UPLOADABLE:
        raise Conflict("The last master is still being processed; cancel its job or wait.", state=title.state)
    return title


async def begin_processing(id: str, *, titles: Titles) -> Title:
    """A master is complete: `processing`, unless the title is on show or archived and keeps its edition meanwhile.

    An edition that was still in the making goes: the newest master counts.
    """
    title = await end_making(id, titles)
    if title.state in ("draft", "ready"):
        await titles.update(id, {"state": "processing"})
    return title


async def become_playable(
    id: str,
    *,
    version: str,
    edition: str,
    ceilings: Sequence[str],
    duration_s: float,
    width: int,
    height: int,
    titles: Titles,
) -> None:
    """What is made so far can be watched, the rest follows. A title with a whole edition keeps that until then."""
    title = await _held(id, titles)
    if title.edition is not None and not title.making:
        return
    fields = {"version": version, "edition": edition, "ceilings": list(ceilings), "duration_s": duration_s}
    fields |= {"width": width, "height": height, "sound_only": tuple(ceilings) == SOUND_ONLY, "making": True}
    await titles.update(id, fields)


async def end_making(id: str, titles: Titles) -> Title:
    """An edition in the making will never be whole: it goes, and a title on show says that it is not ready."""
    title = await _held(id, titles)
    if not title.making:
        return title
    await titles.update(id, UNMADE)
    return await _held(id, titles)


async def end_processing(id: str, *, titles: Titles) -> None:
    """No new edition came: back to what the title was."""
    title = await end_making(id, titles)
    if title.state == "processing":
        await titles.update(id, {"state": "ready" if title.edition else "draft"})


async def become_ready(id: str, made: Finished, *, titles: Titles) -> None:
    """The new edition stands; whoever watches an older one plays on, its bytes stay."""
    title = await _held(id, titles)
    fields = {name: getattr(made, name) for name in Finished.__struct_fields__}
    fields |= {"ceilings": list(made.ceilings), "sound_only": made.ceilings == SOUND_ONLY, "making": False}
    fields |= {"languages": list(made.languages)}
    if made.version != title.version:
        fields["poster"] = 0  # the stills of another version show something else
    if title.state in ("draft", "processing"):
        fields["state"] = "ready"
    await titles.update(id, fields)


async def show_edition(id: str, made: Finished, *, titles: Titles) -> None:
    """Another edition of the version that plays; one of a version that plays no more changes nothing."""
    title = await _held(id, titles)
    if title.version == made.version and not title.making:
        await titles.update(id, {"edition": made.edition, "ceilings": list(made.ceilings)})


def _draft(new: NewTitle, *, seller: str, currency: str, at: datetime) -> Title:
    return Title(
        id=new_id("ttl"),
        seller=seller,
        kind=new.kind,
        parent=new.parent_id,
        name=new.name.strip(),
        description=new.description,
        price_minor=new.price_minor,
        currency=currency,
        created_at=at,
    )


def _said(values: Mapping[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the record says of fields that changed; texts are long, and told of by their length."""
    said = {name: msgspec.to_builtins(values[name]) for name in fields}
    return said | {"description": len(said["description"])} if "description" in said else said


async def _insert(draft: Title, *, chosen: str | None, titles: Titles, draw: Draw) -> Title:
    """Insert under the first free short id and slug; drawn ids grow by one after DRAWS collisions of a length."""
    length = SHORT_MIN if chosen else await _length(titles)
    collisions, slug = 0, await _free_slug(draft.seller, draft.name, titles=titles)
    for _ in range(TRIES):
        title = msgspec.structs.replace(draft, short_id=chosen or draw(length), slug=slug)
        outcome = await titles.insert(title)
        if outcome == "done":
            return await _again(title, titles)
        if outcome == "slug":
            slug = await _free_slug(draft.seller, draft.name, titles=titles)
            continue
        if chosen is not None:
            raise Conflict("This short id is taken; choose another.", code="short-id-taken")
        collisions += 1
        if collisions % DRAWS == 0:
            length = min(length + 1, SHORT_MAX)
    raise Conflict("No free name was found; try again.")


async def _length(titles: Titles) -> int:
    """The length of the next drawn short id; longer spaces are counted only where the shorter ones are full."""
    counts: dict[int, int] = {}
    for length in range(SHORT_MIN, SHORT_MAX):
        counts[length] = await titles.count_length(length)
        if short_id_length(counts) <= length:
            break
    return short_id_length(counts)


async def _free_slug(seller: str, name: str, *, titles: Titles) -> str:
    slug = slug_of(name)
    number = await titles.slug_number(seller, slug)
    return f"{slug}-{number + 1}" if number else slug


async def _parent(ref: str | None, *, by: Principal, titles: Titles) -> Title | None:
    if ref is None:
        return None
    parent = await titles.by_id(ref)
    if parent is None or not can(by, "title:write", parent):
        raise NotFound("There is no such parent among your titles.")
    return parent


async def _check_stays(title: Title, parent: Title | None, *, titles: Titles) -> None:
    """Whoever bought a series has what was published in it. A season takes its episodes with it."""
    if not title.frozen and title.kind != "season":
        return
    if await titles.is_sold_with(title.id, parent.id if parent else None):
        words = "Somebody bought the series or season that this lies in, and this with it: it stays there."
        raise Conflict(words, code="sold-with-its-series")


async def _held(id: str, titles: Titles) -> Title:
    title = await titles.by_id(id, lock=True)
    if title is None:
        raise NotFound(NO_TITLE)
    return title


async def _again(title: Title, titles: Titles) -> Title:
    """The title as it stands now, with all that the database adds."""
    stored = await titles.by_id(title.id)
    if stored is None:
        raise NotFound(NO_TITLE)
    return stored


def _page(found: list[Title], limit: int, place: Callable[[Title], Cursor]) -> tuple[list[Title], Cursor | None]:
    """What was asked for, and a cursor where one more was found behind it."""
    return found[:limit], place(found[limit - 1]) if len(found) > limit else None


def _check_chosen(short_id: str) -> None:
    if not is_chosen_short_id(short_id):
        raise Invalid("A short id has 4 to 8 of the characters a-z and 0-9.")
