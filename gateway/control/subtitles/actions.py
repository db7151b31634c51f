"""What is done with subtitles: send, list, read, drop. Each change of a title that plays gives it a new edition."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Protocol

from gateway.control.auth import Principal, require
from gateway.control.catalogue import actions as catalogue
from gateway.control.catalogue.model import CONTAINERS, Title, Titles
from gateway.control.db import Begin
from gateway.control.jobs import actions as jobs
from gateway.control.subtitles.model import MAX_OF_TITLE, Sending, Subtitle, SubtitleRows, row, told
from shared.clock import Clock
from shared.errors import Conflict, Invalid, NotFound, Refused
from shared.ids import new_id
from shared.storage import Bucket
from shared.subtitles import parse

#: What a source is kept as, whatever it is.
TEXT = "text/plain"
NO_SUBTITLES = "This title has no such subtitles."


class Stores(jobs.Stores, Protocol):
    """What one transaction gives."""

    @property
    def subtitles(self) -> SubtitleRows: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """What a change needs, and where it was asked for (`place`)."""

    begin: Begin[Stores]
    bucket: Bucket
    clock: Clock
    place: str


async def check_allowed(ref: str, *, by: Principal, titles: Titles) -> Title:
    """The title that `by` may give subtitles, its row held. Raises NotFound, Forbidden or Invalid."""
    title = await catalogue.to_change(ref, "title:write", by=by, titles=titles)
    if title.kind in CONTAINERS:
        raise Invalid(f"A {title.kind} has no media of its own; send subtitles to its episodes.")
    return title


async def send(title: str, sent: Sending, data: bytes, *, by: Principal, on: Ports) -> Subtitle:
    """Keep a file in place of the one of its language; the caller asked `check_allowed` before it read the file.

    Raises what `shared.subtitles.parse` raises, and Conflict.
    """
    await asyncio.to_thread(parse, data)
    sha256 = hashlib.sha256(data).hexdigest()
    made = row(sent, id=new_id("sub"), title=title, sha256=sha256, at=on.clock.now())
    # In the bucket before the row is: what a row names is always there.
    await on.bucket.put(made.key, data, content_type=TEXT)
    try:
        await _keep(made, by=by, on=on)
    except Refused:
        await on.bucket.delete([made.key])
        raise
    return made


async def _keep(made: Subtitle, *, by: Principal, on: Ports) -> None:
    async with on.begin() as stores:
        title = await check_allowed(made.title, by=by, titles=stores.catalogue)
        before = await stores.subtitles.one(title.id, made.language, forced=made.forced)
        if before is None and len(await stores.subtitles.of_title(title.id)) >= MAX_OF_TITLE:
            raise Conflict(f"A title has at most {MAX_OF_TITLE} sets of subtitles.")
        await stores.subtitles.put(made)
        await _changed(title, made, stores=stores, on=on)
        words = {"before": told(before), "after": told(made)}
        await stores.outbox.audit(by.id, "title:subtitle", title.id, **words, place=on.place)


async def drop(ref: str, language: str, *, forced: bool, by: Principal, on: Ports) -> None:
    """Take subtitles off a title; who watches an older edition keeps them. Raises NotFound."""
    async with on.begin() as stores:
        title = await check_allowed(ref, by=by, titles=stores.catalogue)
        before = await stores.subtitles.one(title.id, language, forced=forced)
        if before is None:
            raise NotFound(NO_SUBTITLES)
        await stores.subtitles.drop(before.id)
        await _changed(title, before, stores=stores, on=on)
        await stores.outbox.audit(by.id, "title:subtitle", title.id, before=told(before), after=None, place=on.place)


async def of_title(ref: str, *, by: Principal, stores: Stores) -> list[Subtitle]:
    """All subtitles of a title, for who works on it."""
    title = await catalogue.find(ref, by=by, titles=stores.catalogue)
    require(by, "title:read", title)
    return await stores.subtitles.of_title(title.id)


async def source(ref: str, language: str, *, forced: bool, by: Principal, stores: Stores) -> Subtitle:
    """The row of one set, for who works on the title. Raises NotFound."""
    title = await catalogue.find(ref, by=by, titles=stores.catalogue)
    require(by, "title:read", title)
    found = await stores.subtitles.one(title.id, language, forced=forced)
    if found is None:
        raise NotFound(NO_SUBTITLES)
    return found


async def _changed(title: Title, subtitle: Subtitle, *, stores: Stores, on: Ports) -> None:
    """Tell it, and have an edition made of what plays; a version in the making takes what is there at its end."""
    ids = {"title": title.id, "subtitle": subtitle.id, "language": subtitle.language}
    await stores.outbox.emit("title.subtitle", title.id, **ids)
    await jobs.queue_edition(title, jobs=stores.jobs, outbox=stores.outbox, clock=on.clock)
