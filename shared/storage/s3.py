"""The bucket on S3 or a server that speaks it, by aioboto3.

One client an event loop, opened at the first call and given back by `close()` in the same loop. Checksums only where
the protocol requires them: several servers answer the SDK's newer defaults wrongly. A custom endpoint is addressed by
path. The SDK retries connections and 5xx; a body that breaks off is read again here.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

import aioboto3
import aiohttp
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from shared.errors import Conflict, Invalid, Misconfigured, NotFound, StoreUnavailable, UsherError
from shared.storage.base import PART_LAST, ObjectInfo, Part
from shared.storage.proof import prove_conditional_create
from shared.storage.rules import check_key, check_part_number, check_prefix, check_range, check_start

#: Files up to this size go in one request, larger ones in parts of it; downloads come in ranges of it.
PIECE_BYTES = 16 << 20
_TRIES = 3
_DELETE_BATCH = 1000

_ABSENT = {"404", "NoSuchKey", "NotFound", "NoSuchUpload"}
_WRONG = {
    "InvalidPart",
    "InvalidPartOrder",
    "EntityTooSmall",
    "InvalidRequest",
    "InvalidArgument",
    "InvalidRange",
    "416",
}
#: What `check` says to answers that no retry mends.
_REMEDIES = {
    "NoSuchBucket": "There is no such bucket: create it, or name another by USHER_BUCKET.",
    "InvalidAccessKeyId": "The server does not know USHER_S3_ACCESS_KEY.",
    "SignatureDoesNotMatch": "The server refuses the signature: USHER_S3_SECRET_KEY is wrong.",
    "AccessDenied": "The key may not read, write, list and delete in this bucket: widen its policy.",
    "403": "The key may not read, write, list and delete in this bucket: widen its policy.",
    "NoCredentials": "No S3 key was found: set USHER_S3_ACCESS_KEY and USHER_S3_SECRET_KEY.",
    "PermanentRedirect": "The bucket is in another region: set USHER_S3_REGION.",
    "AuthorizationHeaderMalformed": "The bucket is in another region: set USHER_S3_REGION.",
    "NotImplemented": "The server refuses a PUT on condition (`If-None-Match: *`): use a store that has it.",
}


class S3Bucket:
    """Objects in one S3 bucket."""

    def __init__(
        self,
        name: str,
        *,
        endpoint: str = "",
        region: str = "us-east-1",
        access_key: str = "",
        secret_key: str = "",
        tries: int = 4,
    ) -> None:
        self._name = name
        self._options = {
            "region_name": region,
            "endpoint_url": endpoint or None,
            "aws_access_key_id": access_key or None,
            "aws_secret_access_key": secret_key or None,
            "config": Config(
                signature_version="s3v4",
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if endpoint else "auto"},
                retries={"mode": "standard", "total_max_attempts": tries},
                connect_timeout=5,
                read_timeout=60,
                max_pool_connections=32,
            ),
        }
        self._opened: dict[asyncio.AbstractEventLoop, asyncio.Task[tuple[contextlib.AsyncExitStack, Any]]] = {}

    async def put(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        answer = await self._call("put_object", check_key(key), Body=data, ContentType=content_type)
        return ObjectInfo(key=key, size_bytes=len(data), etag=_etag(answer), content_type=content_type)

    async def put_if_absent(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> bool:
        # The nonce tells a loser from a winner whose answer was lost and whose request the SDK sent again.
        nonce = secrets.token_hex(16)
        condition: dict[str, Any] = {"IfNoneMatch": "*", "Metadata": {"nonce": nonce}, "ContentType": content_type}
        for left in reversed(range(_TRIES)):
            try:
                await self._call("put_object", check_key(key), Body=data, **condition)
                return True
            except Conflict:
                with contextlib.suppress(NotFound):
                    found = await self._call("head_object", key)
                    return bool(found.get("Metadata", {}).get("nonce") == nonce)
                return False
            except StoreUnavailable as error:
                if error.details.get("s3") != "ConditionalRequestConflict" or not left:
                    raise
        raise AssertionError("unreachable")

    async def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> ObjectInfo:
        size_bytes = (await asyncio.to_thread(path.stat)).st_size
        if size_bytes <= PIECE_BYTES:
            return await self.put(key, await _read_file(path, 0, size_bytes), content_type=content_type)
        piece_bytes = max(PIECE_BYTES, -(-size_bytes // PART_LAST))
        upload = await self.multipart_begin(key, content_type=content_type)
        try:
            parts = [
                await self.multipart_put(key, upload, number=number, data=await _read_file(path, start, piece_bytes))
                for number, start in enumerate(range(0, size_bytes, piece_bytes), start=1)
            ]
            return await self.multipart_complete(key, upload, parts)
        except BaseException:
            with contextlib.suppress(UsherError):
                await asyncio.shield(self.multipart_abort(key, upload))
            raise

    async def get(self, key: str, *, start: int = 0, length: int | None = None) -> bytes:
        check_range(start, length)
        if length == 0:
            check_start(start, (await self._info(key)).size_bytes)
            return b""
        return await self._read(check_key(key), start, length)

    async def fetch(self, key: str, path: Path) -> ObjectInfo:
        info = await self._info(key)
        beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        try:
            await asyncio.to_thread(beside.touch, exist_ok=False)
            for start in range(0, info.size_bytes, PIECE_BYTES):
                length = min(PIECE_BYTES, info.size_bytes - start)
                piece = await self._read(key, start, length, etag=info.etag)
                await asyncio.to_thread(_append, beside, piece)
            await asyncio.to_thread(beside.replace, path)
        except OSError as error:
            raise StoreUnavailable(f"The local copy could not be written: {error.strerror}.", key=key) from error
        finally:
            await asyncio.to_thread(beside.unlink, missing_ok=True)
        return info

    async def head(self, key: str) -> ObjectInfo | None:
        try:
            return await self._info(key)
        except NotFound:
            return None

    async def list_prefix(self, prefix: str) -> AsyncIterator[ObjectInfo]:
        page: dict[str, Any] = {"Prefix": check_prefix(prefix)}
        while True:
            answer = await self._call("list_objects_v2", "", **page)
            for found in answer.get("Contents", ()):
                yield ObjectInfo(key=found["Key"], size_bytes=found["Size"], etag=_etag(found))
            if not answer.get("IsTruncated"):
                return
            page["ContinuationToken"] = answer["NextContinuationToken"]

    async def copy(self, source: str, target: str) -> None:
        origin = {"Bucket": self._name, "Key": check_key(source)}
        await self._call("copy_object", check_key(target), CopySource=origin)

    async def delete(self, keys: Sequence[str]) -> None:
        named = [{"Key": check_key(key)} for key in keys]
        for start in range(0, len(named), _DELETE_BATCH):
            batch = {"Objects": named[start : start + _DELETE_BATCH], "Quiet": True}
            answer = await self._call("delete_objects", "", Delete=batch)
            if errors := answer.get("Errors"):
                raise StoreUnavailable(f"The bucket did not delete ({errors[0]['Code']}).", s3=errors[0]["Code"])

    async def multipart_begin(self, key: str, *, content_type: str = "application/octet-stream") -> str:
        answer = await self._call("create_multipart_upload", check_key(key), ContentType=content_type)
        return str(answer["UploadId"])

    async def multipart_put(self, key: str, upload: str, *, number: int, data: bytes) -> Part:
        part = {"UploadId": upload, "PartNumber": check_part_number(number)}
        answer = await self._call("upload_part", check_key(key), Body=data, **part)
        return Part(number=number, etag=_etag(answer), size_bytes=len(data))

    async def multipart_parts(self, key: str, upload: str) -> list[Part]:
        page: dict[str, Any] = {"UploadId": upload}
        parts: list[Part] = []
        while True:
            answer = await self._call("list_parts", check_key(key), **page)
            parts += [
                Part(number=found["PartNumber"], etag=_etag(found), size_bytes=found["Size"])
                for found in answer.get("Parts", ())
            ]
            if not answer.get("IsTruncated"):
                return parts
            page["PartNumberMarker"] = answer["NextPartNumberMarker"]

    async def multipart_complete(self, key: str, upload: str, parts: Sequence[Part]) -> ObjectInfo:
        if not parts:
            raise Invalid("A multipart upload needs at least one part.")
        named = [{"PartNumber": part.number, "ETag": f'"{part.etag}"'} for part in parts]
        await self._call("complete_multipart_upload", check_key(key), UploadId=upload, MultipartUpload={"Parts": named})
        return await self._info(key)

    async def multipart_abort(self, key: str, upload: str) -> None:
        with contextlib.suppress(NotFound):
            await self._call("abort_multipart_upload", check_key(key), UploadId=upload)

    async def presign_get(self, key: str, *, ttl_s: int) -> str | None:
        client = await self._client()
        where = {"Bucket": self._name, "Key": check_key(key)}
        return str(await client.generate_presigned_url("get_object", Params=where, ExpiresIn=ttl_s))

    async def check(self) -> None:
        try:
            await prove_conditional_create(self)
        except StoreUnavailable as error:
            if remedy := _REMEDIES.get(str(error.details.get("s3"))):
                raise Misconfigured(f"The bucket s3://{self._name} cannot be used. {remedy}") from error
            raise

    async def close(self) -> None:
        opening = self._opened.pop(asyncio.get_running_loop(), None)
        if opening is not None:
            stack, _ = await opening
            await stack.aclose()

    async def _client(self) -> Any:
        loop = asyncio.get_running_loop()
        if (opening := self._opened.get(loop)) is None or (opening.done() and opening.exception()):
            opening = self._opened[loop] = loop.create_task(self._open())
        _, client = await asyncio.shield(opening)
        return client

    async def _open(self) -> tuple[contextlib.AsyncExitStack, Any]:
        stack = contextlib.AsyncExitStack()
        client = await stack.enter_async_context(aioboto3.Session().client("s3", **self._options))
        return stack, client

    async def _call(self, operation: str, key: str, **arguments: Any) -> dict[str, Any]:
        client = await self._client()
        if key:
            arguments["Key"] = key
        with _answering(key):
            answer: dict[str, Any] = await getattr(client, operation)(Bucket=self._name, **arguments)
        return answer

    async def _info(self, key: str) -> ObjectInfo:
        found = await self._call("head_object", check_key(key))
        kind = found.get("ContentType", "application/octet-stream")
        return ObjectInfo(key=key, size_bytes=found["ContentLength"], etag=_etag(found), content_type=kind)

    async def _read(self, key: str, start: int, length: int | None, *, etag: str = "") -> bytes:
        wanted: dict[str, Any] = {"IfMatch": f'"{etag}"'} if etag else {}
        if start or length is not None:
            wanted["Range"] = f"bytes={start}-" if length is None else f"bytes={start}-{start + length - 1}"
        try:
            return await self._body(key, wanted)
        except Conflict as error:
            raise StoreUnavailable("The object was replaced while it was read.", key=key) from error
        except Invalid:
            # Any range of an empty object is past its end to S3; here its start is not. And some servers refuse
            # a range that only ends past the object, which RFC 9110 14.1.2 has them cut.
            size_bytes = (await self._info(key)).size_bytes
            check_start(start, size_bytes)
            return await self._body(key, {**wanted, "Range": f"bytes={start}-{size_bytes - 1}"}) if size_bytes else b""

    async def _body(self, key: str, wanted: dict[str, Any]) -> bytes:
        for left in reversed(range(_TRIES)):
            answer = await self._call("get_object", key, **wanted)
            try:
                with _answering(key):
                    async with answer["Body"] as body:
                        return bytes(await body.read())
            except StoreUnavailable:
                if not left:
                    raise
        raise AssertionError("unreachable")


@contextlib.contextmanager
def _answering(key: str) -> Iterator[None]:
    """Turn what the SDK raises into the errors of the port."""
    try:
        yield
    except ClientError as error:
        raise _error(error, key) from error
    except NoCredentialsError as error:
        raise StoreUnavailable("No S3 key was found.", s3="NoCredentials") from error
    except (BotoCoreError, aiohttp.ClientError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"The bucket did not answer ({type(error).__name__}).", key=key) from error


def _error(error: ClientError, key: str) -> UsherError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    if code in _ABSENT:
        return NotFound("This multipart upload ended or never began." if code == "NoSuchUpload" else "", key=key)
    if code in {"PreconditionFailed", "412"} or status == 412:
        return Conflict("The object is there already, or was replaced.", key=key)
    if code in _WRONG or status == 416:
        return Invalid(f"The bucket refuses this request ({code}).", key=key, s3=code)
    return StoreUnavailable(f"The bucket did not answer ({code or status}).", key=key, s3=code)


def _etag(answer: dict[str, Any]) -> str:
    return str(answer["ETag"]).strip('"')


async def _read_file(path: Path, start: int, length: int) -> bytes:
    def read() -> bytes:
        with path.open("rb") as file:
            file.seek(start)
            return file.read(length)

    return await asyncio.to_thread(read)


def _append(path: Path, piece: bytes) -> None:
    with path.open("ab") as file:
        file.write(piece)
