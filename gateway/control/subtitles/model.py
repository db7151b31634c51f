"""Subtitles as values: what is sent, what is kept, what pages see, and the port the actions need."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import msgspec

from shared import languages
from shared.errors import Invalid
from shared.storage import names

#: Sets of subtitles a title may have.
MAX_OF_TITLE = 64
MAX_LABEL = 60


class Subtitle(msgspec.Struct, frozen=True, kw_only=True):
    """A row. Of each title and language there is one set, and one more that is `forced` (only what must be read)."""

    id: str
    title: str
    language: str
    label: str
    key: str
    sha256: str
    forced: bool = False
    is_default: bool = False
    created_at: datetime


class SubtitleView(msgspec.Struct, frozen=True):
    """A set of subtitles as people see it."""

    language: str
    label: str
    forced: bool
    default: bool
    created_at: datetime


class SubtitleList(msgspec.Struct, frozen=True):
    """All sets of a title, by language."""

    items: Sequence[SubtitleView]


class Sending(msgspec.Struct, frozen=True):
    """How a file that comes is listed: its language (BCP 47), what menus show, and when players choose it unasked."""

    language: str
    label: str
    forced: bool = False
    default: bool = False


class SubtitleRows(Protocol):
    """What the actions ask of the rows."""

    async def of_title(self, title: str) -> list[Subtitle]: ...
    async def one(self, title: str, language: str, *, forced: bool) -> Subtitle | None: ...
    async def put(self, subtitle: Subtitle) -> None: ...
    async def drop(self, id: str) -> None: ...


def sending(language: str, *, label: str, forced: str, default: str) -> Sending:
    """What a request says. Raises Invalid."""
    tag = tag_of(language)
    label = " ".join(label.split()) or languages.name(tag)
    if len(label) > MAX_LABEL or not label.isprintable() or '"' in label:
        raise Invalid(f"A label has at most {MAX_LABEL} characters and no quotation mark.")
    return Sending(tag, label, yes("forced", forced), yes("default", default))


def tag_of(language: str) -> str:
    """The language in its usual form. Raises Invalid."""
    tag = languages.tag(language)
    if tag == languages.UNKNOWN:
        raise Invalid(f"{language!r} is no language tag; write one such as en, de or pt-BR (BCP 47).")
    return tag


def row(sent: Sending, *, id: str, title: str, sha256: str, at: datetime) -> Subtitle:
    """The row of a file that was sent."""
    return Subtitle(
        id=id,
        title=title,
        language=sent.language,
        label=sent.label,
        key=names.subtitle_source(title, id),
        sha256=sha256,
        forced=sent.forced,
        is_default=sent.default,
        created_at=at,
    )


def view(subtitle: Subtitle) -> SubtitleView:
    """A row as people see it."""
    return SubtitleView(subtitle.language, subtitle.label, subtitle.forced, subtitle.is_default, subtitle.created_at)


def told(subtitle: Subtitle | None) -> dict[str, object] | None:
    """What an audit says of a row: no words of people."""
    if subtitle is None:
        return None
    return {"subtitle": subtitle.id, "language": subtitle.language, "forced": subtitle.forced}


def yes(name: str, text: str) -> bool:
    """What a query says that is true or false; left out, it is false. Raises Invalid."""
    if text not in ("", "true", "false"):
        raise Invalid(f"{name} is true or false.")
    return text == "true"
