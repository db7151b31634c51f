"""Timelines of versions: from memory, Postgres, or the playlist in the bucket."""

from __future__ import annotations

import re
from collections import OrderedDict

import msgspec

from gateway.control.db import Begin
from gateway.control.watching.model import MOST_SEGMENTS, Stores, Timeline, ends_ms
from shared.errors import NotFound
from shared.jobs import Finished, Outline
from shared.ladder import AUDIO_CEILING, AUDIO_RENDITION
from shared.storage import Bucket, names

#: Timelines kept in memory, the last used ones.
KEPT = 1000
LENGTH = re.compile(r"^#EXTINF:([0-9]+(?:\.[0-9]+)?),", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


class Timelines:
    """Finds the timeline of a version. A version never changes, so what was found stays true."""

    def __init__(self, begin: Begin[Stores], bucket: Bucket) -> None:
        self._begin, self._bucket = begin, bucket
        self._kept: OrderedDict[str, Timeline] = OrderedDict()

    async def find(self, title: str, version: str) -> Timeline | None:
        """The timeline; None for a version that is not planned yet, or not of this title.

        fails="closed": raises Retryable when Postgres or the bucket does not answer, so that the entry comes again.
        """
        found = self._kept.get(version) or await self._load(title, version)
        if found is None or found.title != title:
            return None
        self._kept[version] = found
        self._kept.move_to_end(version)
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found

    async def _load(self, title: str, version: str) -> Timeline | None:
        if not (NAME.match(title) and NAME.match(version)):
            return None
        async with self._begin() as unit:
            known = await unit.watching.timeline(version)
        if known is not None:
            return known
        found = await self._read(title, version)
        if found is None:
            return None
        async with self._begin() as unit:
            await unit.watching.put_timeline(found)
            return await unit.watching.timeline(version)

    async def _read(self, title: str, version: str) -> Timeline | None:
        try:
            rendition = await self._rendition(title, version)
            playlist = await self._bucket.get(names.media_playlist(title, version, rendition))
        except (NotFound, IndexError, msgspec.DecodeError):
            return None
        ends = ends_ms(LENGTH.findall(playlist.decode(errors="replace"))[:MOST_SEGMENTS])
        return Timeline(version, title, rendition == AUDIO_RENDITION, ends) if ends else None

    async def _rendition(self, title: str, version: str) -> str:
        """The rendition whose playlist tells the time: a picture where there is one; its playlist never changes."""
        try:
            outline = msgspec.json.decode(await self._bucket.get(names.outline(title, version)), type=Outline)
        except NotFound:
            made = msgspec.json.decode(await self._bucket.get(names.ready(title, version)), type=Finished)
            return AUDIO_RENDITION if made.ceilings[0] == AUDIO_CEILING else made.ceilings[0]
        pictures = [name for name in outline.segments if name not in outline.sounds]
        return [*pictures, AUDIO_RENDITION][0]
