"""Pages of a listing: where the next one starts, as text that clients hand back, and how many items one holds."""

from __future__ import annotations

import base64
from datetime import UTC, datetime
from typing import Any

import msgspec

from shared.errors import Invalid

#: Items a page, unless a query says otherwise, and the most it may say.
PAGE, PAGE_MAX = 24, 100
#: The whole of time, as far as a page looks.
EVER = (datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC))


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """The last item of a page: the next page starts after it."""

    at: datetime
    id: str


def encode_cursor(cursor: Cursor) -> str:
    """A cursor as the opaque text clients hand back."""
    return encode(msgspec.msgpack.encode(cursor))


def decode_cursor(text: str) -> Cursor | None:
    """The cursor of a text, None for none. Raises Invalid for what `encode_cursor` never wrote."""
    if not text:
        return None
    try:
        cursor = msgspec.msgpack.decode(decode(text), type=Cursor)
    except msgspec.DecodeError as error:
        raise not_ours() from error
    if cursor.at.tzinfo is None:
        raise not_ours()
    check_moment(cursor.at)
    return cursor


def encode(place: bytes) -> str:
    """Where a page ended, in the listing's own terms, as the opaque text clients hand back."""
    return base64.urlsafe_b64encode(place).rstrip(b"=").decode()


def decode(text: str) -> bytes:
    """Where a page ended. Raises Invalid for what `encode` never wrote."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError as error:
        raise not_ours() from error


def not_ours() -> Invalid:
    """The refusal of a cursor that no page gave."""
    return Invalid("This cursor is not one that a page gave; start again without it.")


def page_size(text: str) -> int:
    """The `limit` of a query. Raises Invalid outside 1-100."""
    if not text:
        return PAGE
    if not text.isascii() or not text.isdigit() or len(text) > 3 or not 1 <= int(text) <= PAGE_MAX:
        raise Invalid(f"limit is a number from 1 to {PAGE_MAX}.")
    return int(text)


def one_of(name: str, text: str, type: Any) -> Any:
    """A word of a query as one of a literal type, None for none. Raises Invalid."""
    if not text:
        return None
    try:
        return msgspec.convert(text, type)
    except msgspec.ValidationError as error:
        raise Invalid(f"{name}: {error}.") from error


def moment_of(name: str, text: str, default: datetime) -> datetime:
    """A moment of a query by ISO 8601, a day as its start by UTC; `default` for none. Raises Invalid."""
    if not text:
        return default
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{name} is a day or a moment by ISO 8601, such as 2026-11-22T08:00:00Z.") from error
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    check_moment(at)
    return at


def before(after: Cursor | None, until: datetime) -> Cursor:
    """Where a page that shows the newest first begins: all of it is before that cursor, and before `until`."""
    return after if after is not None and after.at < until else Cursor(until, "")


def check_moment(at: datetime) -> None:
    """Raises Invalid for a moment that its offset takes past the ends of the calendar: it cannot be stored."""
    try:
        at.astimezone(UTC)
    except OverflowError as error:
        raise Invalid(f"{at.isoformat()} is no moment that can be kept.") from error
