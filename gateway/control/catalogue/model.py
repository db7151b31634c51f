"""Titles: what they are, which moves their states allow, who may know of one, and how they are named."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, Protocol

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gateway.control.auth import Principal, can
from gateway.control.jobs.model import JobView
from gateway.control.paging import Cursor, check_moment
from shared.errors import Conflict, Invalid
from shared.ids import SHORT_ALPHABET, SHORT_MAX, SHORT_MIN

Kind = Literal["video", "audio", "series", "season", "episode"]
#: How strictly a link holds to the device and place it was made for.
Binding = Literal["off", "soft", "hard"]
State = Literal["draft", "processing", "ready", "published", "archived"]
#: What titles of all sellers are looked for by: a state, or that they were taken down.
Listing = Literal["draft", "processing", "ready", "published", "archived", "taken-down"]

#: A series or season holds other titles and has no media of its own.
CONTAINERS: frozenset[Kind] = frozenset({"series", "season"})
#: Which kinds a title of a kind may lie in; the others lie in none.
PARENTS: Mapping[Kind, frozenset[Kind]] = {
    "season": frozenset({"series"}),
    "episode": frozenset({"series", "season"}),
}
#: The legal moves. `processing` falls back to `ready` where an older edition stands, else to `draft`; what can be
#: watched while it is made may be published meanwhile.
MOVES: Mapping[State, frozenset[State]] = {
    "draft": frozenset({"processing", "archived"}),
    "processing": frozenset({"ready", "draft", "published"}),
    "ready": frozenset({"processing", "published", "archived"}),
    "published": frozenset({"archived"}),
    "archived": frozenset({"published"}),
}
#: Where a master may come in. A published or archived title keeps its state and its edition until the new one is ready.
UPLOADABLE: frozenset[State] = frozenset({"draft", "ready", "published", "archived"})
#: Draws of one length that may collide before ids grow.
DRAWS = 5

Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=r"\S")]
Description = Annotated[str, Meta(max_length=5000)]
Price = Annotated[int, Meta(ge=0, le=10**12)]
Moment = Annotated[datetime, Meta(tz=True)]
Still = Annotated[int, Meta(ge=0, le=99)]


class Title(msgspec.Struct, frozen=True, kw_only=True):
    """A title as it is stored, with its seller's name and handle."""

    id: str
    seller: str
    seller_name: str = ""
    seller_handle: str = ""
    kind: Kind
    parent: str | None = None
    short_id: str = ""
    slug: str = ""
    name: str
    description: str = ""
    state: State = "draft"
    price_minor: int = 0
    currency: str = "USD"
    window_from: datetime | None = None
    window_until: datetime | None = None
    published_at: datetime | None = None
    created_at: datetime
    taken_down_at: datetime | None = None
    takedown_reason: str | None = None
    takedown_notice: str | None = None
    version: str | None = None
    edition: str | None = None
    ceilings: list[str] = []
    duration_s: float | None = None
    width: int | None = None
    height: int | None = None
    sound_only: bool = False
    has_poster: bool = False
    has_storyboard: bool = False
    languages: list[str] = []
    loudness_lufs: float | None = None
    posters: int = 1
    poster: int = 0
    making: bool = False
    binding: Binding | None = None
    is_free: bool = True

    @property
    def frozen(self) -> bool:
        """Whether the short id stands for good: it was published once."""
        return self.published_at is not None

    @property
    def taken_down(self) -> bool:
        return self.taken_down_at is not None

    def on_show(self, now: datetime) -> bool:
        """Whether the public may watch it now: published and within its window."""
        return (
            self.state == "published"
            and (self.window_from is None or self.window_from <= now)
            and (self.window_until is None or now < self.window_until)
        )


class NewTitle(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What creates a title. Without a currency it is the portal's, without a short id one is drawn.

    `accept_loss`: at this price though a payment by card would cost more than it brings.
    """

    seller: str
    name: Name
    kind: Kind = "video"
    parent_id: str | None = None
    description: Description = ""
    price_minor: Price = 0
    currency: str | None = None
    short_id: str | None = None
    accept_loss: bool = False


class TitleChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What changes a title; a field left out stays as it is. `binding` null: as the installation says.

    `poster`: which of its stills is shown, counted from 0. `accept_loss` as in NewTitle.
    """

    name: Name | UnsetType = UNSET
    description: Description | UnsetType = UNSET
    price_minor: Price | UnsetType = UNSET
    currency: str | UnsetType = UNSET
    short_id: str | UnsetType = UNSET
    parent_id: str | UnsetType | None = UNSET
    window_from: Moment | UnsetType | None = UNSET
    window_until: Moment | UnsetType | None = UNSET
    binding: Binding | UnsetType | None = UNSET
    poster: Still | UnsetType = UNSET
    accept_loss: bool = False

    def fields(self) -> dict[str, Any]:
        """The fields of the title that were sent."""
        sent = {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}
        del sent["accept_loss"]
        return sent


class TakedownOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a title goes, and what its page says instead."""

    reason: Annotated[str, Meta(min_length=1, max_length=500)]
    notice: Annotated[str, Meta(min_length=1, max_length=2000)]


class SellerRef(msgspec.Struct, frozen=True):
    """Whose title it is."""

    name: str
    handle: str


class TakedownNote(msgspec.Struct, frozen=True):
    """Why a title is gone; the reason is left empty for the public."""

    reason: str
    notice: str


class TitleCard(msgspec.Struct, frozen=True, kw_only=True):
    """A title on the shelf. `is_free`: for good; one without a price of its own may be sold with its series."""

    id: str
    short_id: str
    slug: str
    name: str
    kind: Kind
    seller: SellerRef
    price_minor: int
    is_free: bool
    currency: str
    duration_s: float | None
    poster_url: str | None
    watch_url: str
    height: int | None


class TitleView(TitleCard, frozen=True, kw_only=True):
    """A title on its own page. `making`: it can be watched, and the rest of it is still made.

    `posters`: how many stills there are to choose from, `poster`: which of them is shown.
    """

    description: str
    state: State
    parent_id: str | None
    window_from: datetime | None
    window_until: datetime | None
    published_at: datetime | None
    takedown: TakedownNote | None
    ceilings: list[str]
    sound_only: bool
    created_at: datetime
    short_id_frozen: bool
    making: bool = False
    languages: list[str] = []
    loudness_lufs: float | None = None
    posters: int = 0
    poster: int = 0
    binding: Binding | None = None


class WaitingUpload(msgspec.Struct, frozen=True):
    """An upload that is not complete yet."""

    id: str
    offset: int
    size_bytes: int


class StudioTitle(TitleView, frozen=True, kw_only=True):
    """A title as its seller sees it, with its newest job and an upload that waits to go on."""

    job: JobView | None
    upload: WaitingUpload | None


class Shelf(msgspec.Struct, frozen=True):
    """A page of cards; `next` is the cursor of the following one."""

    items: list[TitleCard]
    next: str | None


class Studio(msgspec.Struct, frozen=True):
    """A page of a seller's titles."""

    items: list[StudioTitle]
    next: str | None


class Titles(Protocol):
    """What catalogue's actions ask of storage."""

    async def seller_id(self, ref: str) -> str | None: ...
    async def default_currency(self) -> str: ...
    async def count_length(self, length: int) -> int: ...
    async def slug_number(self, seller: str, slug: str) -> int: ...
    async def insert(self, title: Title) -> Literal["done", "short_id", "slug"]: ...
    async def by_id(self, id: str, *, lock: bool = False) -> Title | None: ...
    async def by_ids(self, ids: Sequence[str]) -> list[Title]: ...
    async def by_short_id(self, folded: str) -> Title | None: ...
    async def is_sold_with(self, title: str, but: str | None) -> bool: ...
    async def update(self, id: str, fields: Mapping[str, Any]) -> None: ...
    async def shelf(
        self, query: tuple[str, str, str], *, parent: str | None, now: datetime, after: Cursor | None, limit: int
    ) -> list[Title]: ...
    async def everybodys(
        self, query: tuple[str, str, str], *, state: str, before: Cursor, limit: int
    ) -> list[Title]: ...
    async def waiting_uploads(self, titles: Sequence[str]) -> dict[str, WaitingUpload]: ...
    async def of_sellers(self, sellers: Sequence[str], *, after: Cursor | None, limit: int) -> list[Title]: ...


def may_move(title: Title, target: State) -> bool:
    """Whether `title` may become `target` now: the table, and no publishing without something to show."""
    if title.kind in CONTAINERS:
        return (title.state, target) in {
            ("draft", "published"),
            ("draft", "archived"),
            ("published", "archived"),
            ("archived", "published"),
        }
    return target in MOVES[title.state] and (target != "published" or title.edition is not None)


def check_move(title: Title, target: State) -> None:
    """Raises Conflict for a move that is not legal, with what is missing."""
    if may_move(title, target):
        return
    if target == "published" and title.state == "published":
        raise Conflict("This title is published already.")
    if target == "published":
        raise Conflict("There is nothing to show yet: upload a master and wait until the title is ready.")
    raise Conflict(f"A title that is {title.state} cannot become {target}.", state=title.state)


def may_know(principal: Principal | None, title: Title) -> bool:
    """Whether `principal` may know that `title` exists: everyone once it is published, else only who works on it."""
    return title.state == "published" or can(principal, "title:read", title)


def card(title: Title) -> TitleCard:
    """A title as the shelf shows it."""
    return TitleCard(**_card(title))


def page(title: Title, viewer: Principal | None) -> TitleView:
    """A title as its own page shows it to `viewer`."""
    return TitleView(**_page(title, viewer))


def studio_page(title: Title, viewer: Principal, *, job: JobView | None, upload: WaitingUpload | None) -> StudioTitle:
    """A title as its seller sees it."""
    return StudioTitle(**_page(title, viewer), job=job, upload=upload)


def _card(title: Title) -> dict[str, Any]:
    poster = title.has_poster and not title.taken_down
    shown = (title.version or "")[:12] + (f"-{title.poster}" if title.poster else "")
    return {
        **{name: getattr(title, name) for name in TitleCard.__struct_fields__ if hasattr(title, name)},
        "seller": SellerRef(title.seller_name, title.seller_handle),
        "poster_url": f"/v1/titles/{title.id}/poster.jpg?v={shown}" if poster else None,
        "watch_url": f"/watch/{title.short_id}/{title.slug}",
    }


def _page(title: Title, viewer: Principal | None) -> dict[str, Any]:
    inside = can(viewer, "title:read", title)
    reason = (title.takedown_reason or "") if inside else ""
    return {
        **{name: getattr(title, name) for name in TitleView.__struct_fields__ if hasattr(title, name)},
        **_card(title),
        "description": title.description if inside or not title.taken_down else "",
        "parent_id": title.parent,
        "takedown": TakedownNote(reason, title.takedown_notice or "") if title.taken_down else None,
        "short_id_frozen": title.frozen,
        "binding": title.binding if inside else None,
        "posters": title.posters if title.has_poster and not title.taken_down else 0,
    }


def check_parent(kind: Kind, parent: Title | None, *, seller: str) -> None:
    """Raises Invalid when a title of `kind` cannot lie in `parent`."""
    allowed = PARENTS.get(kind, frozenset())
    if parent is None and allowed:
        raise Invalid(f"A title of kind {kind} needs a parent_id: a {' or '.join(sorted(allowed))} of this seller.")
    if parent is not None and (parent.kind not in allowed or parent.seller != seller):
        raise Invalid(
            f"A title of kind {kind} lies in {'a ' + ' or '.join(sorted(allowed)) if allowed else 'no other title'}."
        )


def check_still(title: Title, number: int) -> None:
    """Raises Invalid for a still that there is not."""
    if not title.has_poster or number >= title.posters:
        raise Invalid(f"poster: there is no still {number} of this title.")


def still_of(text: str, title: Title, viewer: Principal | None) -> int | None:
    """The still that a query asks for: without one the chosen one; None for what there is not, or not for `viewer`."""
    if not text:
        return title.poster
    if not (text.isascii() and text.isdigit() and len(text) <= 2) or not can(viewer, "title:read", title):
        return None
    return int(text) if int(text) < title.posters else None


def check_window(start: datetime | None, end: datetime | None) -> None:
    """Raises Invalid for a window that ends before it starts, or where the calendar of UTC has no such moment."""
    for at in (start, end):
        if at is not None:
            check_moment(at)
    if start is not None and end is not None and end <= start:
        raise Invalid("window_until must be later than window_from.")


def short_id_length(counts: Mapping[int, int], *, alphabet: int = len(SHORT_ALPHABET)) -> int:
    """The shortest length whose space is not more than half full; `counts` are the ids in use by length."""
    lengths = range(SHORT_MIN, SHORT_MAX)
    return next((n for n in lengths if counts.get(n, 0) * 2 <= alphabet**n), SHORT_MAX)


def search_terms(text: str) -> tuple[str, str, str]:
    """A search as typed → (all of it, all but the last word, the last word, still being typed, as a prefix).

    No prefix where the text ends in something else than a word or the word is excluded by a minus.
    """
    text = " ".join(text.replace("\x00", " ").split())[:200]
    last = re.search(r"(?<![\w-])[^\W_]+\Z", text)
    return (text, text[: last.start()], last[0]) if last else (text, "", "")
