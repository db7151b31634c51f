"""What is done with uploads: begin, take bytes in, complete, stop, and sweep what was left.

The offset in the row is the truth. Bytes leave for the bucket's multipart upload in parts of one size; what does not
fill a part stays in the row as `tail`, so that offset and tail change in one transaction (a tail in the bucket could
be newer or older than the row after a crash). A part's number follows from the offset: one that is sent again after
a crash, or after a checksum that did not hold, replaces itself.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import msgspec

from gateway.control.auth import Principal, can
from gateway.control.catalogue import actions as catalogue
from gateway.control.db import Begin
from gateway.control.jobs import actions as jobs
from gateway.control.jobs.model import NewJob
from gateway.control.uploads.model import (
    SNIFF_BYTES,
    Checksum,
    Locks,
    NewUpload,
    Progress,
    State,
    Upload,
    Uploads,
    check_container,
    check_open,
)
from shared import log
from shared.clock import Clock
from shared.errors import ChecksumMismatch, Conflict, Gone, Locked, NotFound, TooLarge, Unsupported, UsherError
from shared.ids import is_id, new_id
from shared.storage import Bucket

NO_UPLOAD = "There is no such upload."
LOST_PARTS = "The bucket dropped what was sent of this file; begin a new upload."
#: The stored master is read back for its checksum in pieces of this size.
HASH_BYTES = 8 << 20


class Stores(jobs.Stores, Protocol):
    """What one transaction gives."""

    @property
    def uploads(self) -> Uploads: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Ports:
    """What takes bytes from a request to the bucket. `expiry_s`: an upload lives this long after its last bytes."""

    begin: Begin[Stores]
    bucket: Bucket
    locks: Locks
    clock: Clock
    expiry_s: int


async def create(new: NewUpload, *, by: Principal, stores: Stores, clock: Clock, expiry_s: int) -> Upload:
    """A new upload for a title that `by` may give a master. Raises NotFound, Forbidden, Conflict or Invalid."""
    title = await catalogue.check_uploadable(new.title, by=by, titles=stores.catalogue)
    upload = Upload(
        id=new_id("upl"),
        title=title.id,
        seller=title.seller,
        principal=by.id,
        filename=new.filename,
        size_bytes=new.size_bytes,
        announced_sha256=new.sha256,
        mode=new.mode,
        loudness=new.loudness,
        created_at=clock.now(),
        expires_at=clock.now() + timedelta(seconds=expiry_s),
    )
    await stores.uploads.insert(upload)
    await stores.outbox.emit(
        "upload.created", upload.id, upload=upload.id, title=title.id, size_bytes=upload.size_bytes
    )
    return upload


async def find(id: str, *, by: Principal, ports: Ports) -> Upload:
    """An upload that `by` began, as far as it has come. Raises NotFound for other people's, Gone for one that is over.

    One that has all its bytes and was not completed (the process died in between) is completed first.
    """
    upload = await _own(id, by=by, ports=ports)
    if upload.state != "open" or not upload.received:
        return upload
    async with ports.locks.hold(upload.id):
        upload = await _own(id, by=by, ports=ports)
        return await _finish(upload, ports) if upload.state == "open" else upload


async def receive(
    id: str,
    offset: int,
    chunks: AsyncIterator[bytes],
    *,
    by: Principal,
    ports: Ports,
    checksum: Checksum | None = None,
    announced_bytes: int = 0,
) -> Upload:
    """Take in bytes that begin at `offset`; what came before the client broke off is kept, unless it has a checksum.

    Raises Locked while another request writes, Conflict for another offset, TooLarge for more bytes than were
    announced, ChecksumMismatch (nothing is kept), Unsupported for what is no master (the upload is over).
    """
    await _own(id, by=by, ports=ports)
    async with ports.locks.hold(id):
        upload = await _own(id, by=by, ports=ports)
        if offset != upload.offset_bytes:
            words = f"This upload continues at byte {upload.offset_bytes}, not at {offset}."
            raise Conflict(words, code="wrong-offset", offset=upload.offset_bytes)
        if offset + announced_bytes > upload.size_bytes:
            raise _too_long(upload)
        if upload.state == "completed":
            return upload
        upload = await _take(upload, chunks, checksum=checksum, ports=ports)
        return await _finish(upload, ports) if upload.received else upload


async def terminate(id: str, *, by: Principal, ports: Ports) -> None:
    """Stop an upload and drop its bytes. Raises Conflict for a complete one: its job is what can be cancelled."""
    await _own(id, by=by, ports=ports)
    async with ports.locks.hold(id):
        upload = await _own(id, by=by, ports=ports)
        if upload.state == "completed":
            raise Conflict("This upload is complete; cancel its job instead.", code="upload-completed")
        await _drop(upload, "aborted", ports)


async def sweep(ports: Ports) -> int:
    """Drop uploads that nobody went on with, and complete those whose process died at the end; how many were."""
    async with ports.begin() as stores:
        ids = await stores.uploads.waiting(ports.clock.now())
    settled = 0
    for id in ids:
        try:
            settled += await _settle(id, ports)
        except Locked:
            continue  # somebody is at it
        except UsherError as error:
            log.get("control").warning("upload not settled", upload=id, code=error.code, reason=str(error))
        except Exception as error:  # whatever it is, the uploads behind this one must not wait for it
            log.get("control").error("upload not settled", upload=id, exc_info=error)
    return settled


async def _settle(id: str, ports: Ports) -> bool:
    async with ports.locks.hold(id):
        async with ports.begin() as stores:
            upload = await stores.uploads.by_id(id)
        if upload is None or upload.state != "open":
            return False
        if upload.received:
            await _finish(upload, ports)
            return True
        if upload.expires_at > ports.clock.now():
            return False
        await _drop(upload, "expired", ports)
        return True


async def _own(id: str, *, by: Principal, ports: Ports) -> Upload:
    async with ports.begin() as stores:
        upload = await stores.uploads.by_id(id) if is_id(id, "upl") else None
    if upload is None or upload.principal != by.id or not can(by, "title:upload", upload):
        raise NotFound(NO_UPLOAD)
    check_open(upload, ports.clock.now())
    return upload


async def _take(upload: Upload, chunks: AsyncIterator[bytes], *, checksum: Checksum | None, ports: Ports) -> Upload:
    async with ports.begin() as stores:
        writer = _Writer(upload, await stores.uploads.tail(upload.id), ports)
    digest = hashlib.new(checksum.algorithm, usedforsecurity=False) if checksum else None
    try:
        async for chunk in chunks:
            if digest is not None:
                digest.update(chunk)
            if await writer.add(chunk) and digest is None:
                await writer.save()
    except Unsupported:
        await _drop(writer.upload, "aborted", ports)
        raise
    if checksum and digest is not None and digest.digest() != checksum.digest:
        raise ChecksumMismatch("These bytes are not the ones of Upload-Checksum; none of them was kept.")
    await writer.save()
    return writer.upload


class _Writer:
    """The bytes of one upload on their way: full parts to the bucket, the rest and the offset to the row."""

    def __init__(self, upload: Upload, tail: bytes, ports: Ports) -> None:
        self.upload = upload
        self._buffer = bytearray(tail)
        self._ports = ports
        self._stored_bytes, self._container = upload.stored_bytes, upload.container

    async def add(self, chunk: bytes) -> bool:
        """Take in bytes; whether parts left for the bucket. Raises TooLarge, or Unsupported for what is no master."""
        if self._stored_bytes + len(self._buffer) + len(chunk) > self.upload.size_bytes:
            raise _too_long(self.upload)
        self._buffer += chunk
        if self._container is None and len(self._buffer) >= min(SNIFF_BYTES, self.upload.size_bytes):
            self._container = check_container(bytes(self._buffer[:SNIFF_BYTES]))
            await self._begin_multipart()
        before = self._stored_bytes
        while len(self._buffer) >= self.upload.part_bytes:
            await self._put_part()
        return self._stored_bytes > before

    async def save(self) -> None:
        """Write how far it came. Raises Locked where the row is not what it was when it was read."""
        progress = Progress(
            offset_bytes=self._stored_bytes + len(self._buffer),
            stored_bytes=self._stored_bytes,
            tail=bytes(self._buffer),
            container=self._container,
            expires_at=self._ports.clock.now() + timedelta(seconds=self._ports.expiry_s),
        )
        async with self._ports.begin() as stores:
            if not await stores.uploads.advance(self.upload, progress):
                raise Locked("Another request changed this upload.")
        self.upload = msgspec.structs.replace(
            self.upload,
            offset_bytes=progress.offset_bytes,
            stored_bytes=progress.stored_bytes,
            container=progress.container,
            expires_at=progress.expires_at,
        )

    async def _begin_multipart(self) -> None:
        """Written at once, so that a crash leaves no multipart upload that nobody knows of."""
        if self.upload.multipart is None:
            multipart = await self._ports.bucket.multipart_begin(self.upload.key)
            async with self._ports.begin() as stores:
                await stores.uploads.set_multipart(self.upload.id, multipart)
            self.upload = msgspec.structs.replace(self.upload, multipart=multipart)

    async def _put_part(self) -> None:
        size = self.upload.part_bytes
        number = self._stored_bytes // size + 1
        await _put_part(self.upload, number, bytes(self._buffer[:size]), ports=self._ports)
        del self._buffer[:size]
        self._stored_bytes += size


async def _finish(upload: Upload, ports: Ports) -> Upload:
    """All bytes are here: make them the master, prove it, and queue its job. May be done again from any point.

    The object appears first, then the row changes; a process that dies in between leaves an open upload with all its
    bytes, which `find` and `sweep` finish.
    """
    async with ports.begin() as stores:
        tail = await stores.uploads.tail(upload.id)
    await _assemble(upload, tail, ports)
    sha256 = await _hash(upload, ports.bucket)
    if upload.announced_sha256 not in (None, sha256):
        await ports.bucket.delete([upload.key])
        await _drop(upload, "aborted", ports)
        raise ChecksumMismatch("The file that came is not the one whose sha256 was announced; begin a new upload.")
    facts = {"upload": upload.id, "title": upload.title, "size_bytes": upload.size_bytes, "key": upload.key}
    async with ports.begin() as stores:
        if await stores.uploads.complete(upload.id, sha256=sha256, at=ports.clock.now()):
            new = NewJob(
                title=upload.title,
                upload=upload.id,
                master=upload.key,
                sha256=sha256,
                mode=upload.mode,
                loudness=upload.loudness,
            )
            await jobs.queue(new, jobs=stores.jobs, titles=stores.catalogue, outbox=stores.outbox, clock=ports.clock)
            await stores.outbox.emit("upload.completed", upload.id, **facts, sha256=sha256)
    log.get("control").info("upload completed", **facts)
    return msgspec.structs.replace(upload, state="completed", sha256=sha256)


async def _assemble(upload: Upload, tail: bytes, ports: Ports) -> None:
    if await ports.bucket.head(upload.key) is not None:
        return  # a process died after this step
    if tail:
        await _put_part(upload, upload.next_part, tail, ports=ports)
    try:
        parts = await ports.bucket.multipart_parts(upload.key, upload.multipart or "")
        if sum(part.size_bytes for part in parts) != upload.size_bytes:
            raise NotFound(LOST_PARTS)
        await ports.bucket.multipart_complete(upload.key, upload.multipart or "", parts)
    except NotFound as error:
        raise await _lost(upload, ports) from error


async def _put_part(upload: Upload, number: int, data: bytes, *, ports: Ports) -> None:
    try:
        await ports.bucket.multipart_put(upload.key, upload.multipart or "", number=number, data=data)
    except NotFound as error:
        raise await _lost(upload, ports) from error


async def _lost(upload: Upload, ports: Ports) -> Gone:
    """Somebody cleaned up the bucket: the upload is over."""
    await _drop(upload, "aborted", ports)
    return Gone(LOST_PARTS, code="upload-lost")


async def _hash(upload: Upload, bucket: Bucket) -> str:
    """The SHA-256 of the master as it lies in the bucket."""
    digest = hashlib.sha256()
    for start in range(0, upload.size_bytes, HASH_BYTES):
        await asyncio.to_thread(digest.update, await bucket.get(upload.key, start=start, length=HASH_BYTES))
    return digest.hexdigest()


async def _drop(upload: Upload, state: State, ports: Ports) -> None:
    """The bytes first, then the row: a process that dies in between leaves a row that is swept again."""
    if upload.multipart is not None:
        await ports.bucket.multipart_abort(upload.key, upload.multipart)
    async with ports.begin() as stores:
        if await stores.uploads.end(upload.id, state) and state == "expired":
            await stores.outbox.emit("upload.expired", upload.id, upload=upload.id, title=upload.title)
    log.get("control").info("upload dropped", upload=upload.id, title=upload.title, state=state)


def _too_long(upload: Upload) -> TooLarge:
    return TooLarge(
        f"This upload was announced with {upload.size_bytes} bytes; more came.", size_bytes=upload.size_bytes
    )
