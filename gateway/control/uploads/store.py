"""SQL of uploads."""

from __future__ import annotations

from datetime import datetime

from gateway.control.db import Connection
from gateway.control.uploads.model import Progress, State, Upload

INSERT = """
insert into upload (id, title, principal, filename, size_bytes, announced_sha256, created_at, expires_at, mode,
                    loudness)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
BY_ID = """
select u.id, u.title, t.seller, u.principal, u.filename, u.size_bytes, u.offset_bytes, u.stored_bytes, u.multipart,
       u.container, u.sha256, u.announced_sha256, u.mode, u.loudness, u.state, u.created_at, u.expires_at
from upload u join title t on t.id = u.title
where u.id = $1
"""
TAIL = "select tail from upload where id = $1"
MULTIPART = "update upload set multipart = $2 where id = $1 and state = 'open'"
#: On condition that nobody moved it in between.
ADVANCE = """
update upload set offset_bytes = $3, stored_bytes = $4, tail = $5, container = $6, expires_at = $7
where id = $1 and state = 'open' and offset_bytes = $2 returning id
"""
COMPLETE = """
update upload set state = 'completed', sha256 = $2, completed_at = $3, tail = '' where id = $1 and state = 'open'
returning id
"""
END = "update upload set state = $2, tail = '' where id = $1 and state = 'open' returning id"
#: Uses upload_expiry, which holds open uploads alone.
WAITING = """
select id from upload where state = 'open' and (expires_at <= $1 or offset_bytes = size_bytes)
order by expires_at limit 100
"""


class UploadStore:
    """Rows of uploads, on the connection of the running transaction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, upload: Upload) -> None:
        """A new upload."""
        values = (upload.id, upload.title, upload.principal, upload.filename, upload.size_bytes)
        rest = (upload.announced_sha256, upload.created_at, upload.expires_at)
        await self._connection.execute(INSERT, *values, *rest, upload.mode, upload.loudness)

    async def by_id(self, id: str) -> Upload | None:
        """An upload."""
        row = await self._connection.fetchrow(BY_ID, id)
        return Upload(**row) if row else None

    async def tail(self, id: str) -> bytes:
        """The bytes up to the offset that are in no part yet."""
        return bytes(await self._connection.fetchval(TAIL, id) or b"")

    async def set_multipart(self, id: str, multipart: str) -> None:
        """Which multipart upload of the bucket takes the parts."""
        await self._connection.execute(MULTIPART, id, multipart)

    async def advance(self, upload: Upload, progress: Progress) -> bool:
        """Write how far `upload` came; False where it is not what it was when it was read."""
        values = (progress.offset_bytes, progress.stored_bytes, progress.tail, progress.container, progress.expires_at)
        return bool(await self._connection.fetchval(ADVANCE, upload.id, upload.offset_bytes, *values))

    async def complete(self, id: str, *, sha256: str, at: datetime) -> bool:
        """The master stands; False where the upload was not open any more."""
        return bool(await self._connection.fetchval(COMPLETE, id, sha256, at))

    async def end(self, id: str, state: State) -> bool:
        """The upload is over; False where it was already."""
        return bool(await self._connection.fetchval(END, id, state))

    async def waiting(self, now: datetime) -> list[str]:
        """Open uploads that are over their time, or whole and not completed yet."""
        return [row["id"] for row in await self._connection.fetch(WAITING, now)]
