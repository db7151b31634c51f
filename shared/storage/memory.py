"""The bucket in memory: a real second implementation for tests, gone with its process."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from shared.errors import NotFound
from shared.storage.base import ObjectInfo, Part
from shared.storage.proof import prove_conditional_create
from shared.storage.rules import check_key, check_part_number, check_parts, check_prefix, check_range, check_start


class MemoryBucket:
    """Objects in a dict; nothing awaits between a look and a write, so every method is atomic in its loop."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[ObjectInfo, bytes]] = {}
        self._uploads: dict[tuple[str, str], _Upload] = {}

    async def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        etag = hashlib.sha256(data).hexdigest()[:32]
        info = ObjectInfo(key=check_key(key), size_bytes=len(data), etag=etag, content_type=content_type)
        self._objects[key] = (info, bytes(data))
        return info

    async def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> bool:
        if check_key(key) in self._objects:
            return False
        await self.put(key, data, content_type=content_type)
        return True

    async def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        check_key(key)
        return await self.put(key, await asyncio.to_thread(path.read_bytes), content_type=content_type)

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        info, data = self._object(key)
        check_start(start, info.size_bytes)
        return data[start : None if length is None else start + length]

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        info, data = self._object(key)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        await asyncio.to_thread(beside.write_bytes, data)
        await asyncio.to_thread(beside.replace, path)
        return info

    async def head(self, key: str) -> ObjectInfo | None:
        found = self._objects.get(check_key(key))
        return found[0] if found else None

    async def list_prefix(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        check_prefix(prefix)
        for key in sorted(self._objects):
            if key.startswith(prefix) and (found := self._objects.get(key)):
                yield found[0]

    async def copy(self, source: str, target: str) -> None:
        check_key(target)
        info, data = self._object(source)
        await self.put(target, data, content_type=info.content_type)

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key(key)
        for key in keys:
            self._objects.pop(key, None)

    async def multipart_begin(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        upload = secrets.token_hex(16)
        self._uploads[check_key(key), upload] = _Upload(content_type)
        return upload

    async def multipart_put(self, key: str, upload: str, *, number: int, data: bytes) -> Part:
        check_part_number(number)
        part = Part(number=number, etag=hashlib.sha256(data).hexdigest()[:32], size_bytes=len(data))
        self._upload(key, upload).parts[number] = (part, bytes(data))
        return part

    async def multipart_parts(self, key: str, upload: str) -> list[Part]:
        return [part for _, (part, _) in sorted(self._upload(key, upload).parts.items())]

    async def multipart_complete(self, key: str, upload: str, parts: Sequence[Part]) -> ObjectInfo:
        begun = self._upload(key, upload)
        check_parts(parts, await self.multipart_parts(key, upload))
        data = b"".join(begun.parts[part.number][1] for part in parts)
        info = await self.put(key, data, content_type=begun.content_type)
        del self._uploads[key, upload]
        return info

    async def multipart_abort(self, key: str, upload: str) -> None:
        self._uploads.pop((check_key(key), upload), None)

    async def presign_get(self, key: str, *, ttl_s: int) -> str | None:
        check_key(key)
        return None

    async def check(self) -> None:
        await prove_conditional_create(self)

    async def close(self) -> None:
        """Nothing is held."""

    def _object(self, key: str) -> tuple[ObjectInfo, bytes]:
        found = self._objects.get(check_key(key))
        if found is None:
            raise NotFound(f"There is no object {key}.", key=key)
        return found

    def _upload(self, key: str, upload: str) -> _Upload:
        begun = self._uploads.get((check_key(key), upload))
        if begun is None:
            raise NotFound("This multipart upload ended or never began.", key=key)
        return begun


class _Upload:
    """One multipart upload that goes on: what was written of it so far."""

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        self.parts: dict[int, tuple[Part, bytes]] = {}
