"""SQL of subtitles."""

from __future__ import annotations

import msgspec

from gateway.control.db import Connection
from gateway.control.subtitles.model import Subtitle

COLUMNS = "select id, title, language, label, key, sha256, forced, is_default, created_at from subtitle\n"
OF_TITLE = COLUMNS + "where title = $1 order by language, forced"
ONE = COLUMNS + "where title = $1 and language = $2 and forced = $3"
NO_OTHER_DEFAULT = "update subtitle set is_default = false where title = $1 and is_default"
PUT = """
insert into subtitle (id, title, language, label, key, sha256, forced, is_default, created_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (title, language, forced) do update
set id = excluded.id, label = excluded.label, key = excluded.key, sha256 = excluded.sha256,
    is_default = excluded.is_default, created_at = excluded.created_at
"""
DROP = "delete from subtitle where id = $1"


class SubtitleStore:
    """Rows of subtitles, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of_title(self, title: str) -> list[Subtitle]:
        """All sets of a title, by language."""
        return [Subtitle(**row) for row in await self._connection.fetch(OF_TITLE, title)]

    async def one(self, title: str, language: str, *, forced: bool) -> Subtitle | None:
        """The set of a language."""
        row = await self._connection.fetchrow(ONE, title, language, forced)
        return Subtitle(**row) if row else None

    async def put(self, subtitle: Subtitle) -> None:
        """A set in place of the one of its language; of a title one at most is the default."""
        if subtitle.is_default:
            await self._connection.execute(NO_OTHER_DEFAULT, subtitle.title)
        await self._connection.execute(PUT, *msgspec.structs.astuple(subtitle))

    async def drop(self, id: str) -> None:
        """Forget a set."""
        await self._connection.execute(DROP, id)
