"""Routes of uploads: tus 1.0 with creation, creation-with-upload, checksum, termination and expiration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import format_datetime
from functools import wraps

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.control.limits import POLL, READ, WRITE
from gateway.control.problems import problem_response
from gateway.control.route import Call, Route
from gateway.control.uploads import actions
from gateway.control.uploads.model import (
    CHECKSUMS,
    OFFSET_TYPE,
    TUS_EXTENSIONS,
    TUS_VERSION,
    Upload,
    metadata_of,
    parse_checksum,
    parse_creation,
    parse_offset,
)
from shared.errors import Unsupported, UsherError, WrongVersion

#: A client that sends nothing for this long has gone: what came is kept and the lock is given back.
SILENCE_S = 30
SPOKEN = {"Tus-Resumable": TUS_VERSION, "Tus-Version": TUS_VERSION}

Handler = Callable[[Call[None]], Awaitable[Response]]


def speaks_tus(handler: Handler) -> Handler:
    """Refuse other versions of tus with 412, and put Tus-Resumable on every answer, problems among them."""

    @wraps(handler)
    async def answer(call: Call[None]) -> Response:
        try:
            if call.request.headers.get("tus-resumable") != TUS_VERSION:
                raise WrongVersion(f"Send the header Tus-Resumable: {TUS_VERSION}.")
            response = await handler(call)
            response.headers["Tus-Resumable"] = TUS_VERSION
            response.headers["Cache-Control"] = "no-store"
            return response
        except UsherError as error:
            return problem_response(error, SPOKEN)

    return answer


async def describe_uploads(call: Call[None]) -> Response:
    """Which tus extensions and sizes are taken."""
    headers = {
        **SPOKEN,
        "Tus-Extension": TUS_EXTENSIONS,
        "Tus-Max-Size": str(call.wiring["settings"].upload_limit_bytes),
        "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
    }
    return Response(status_code=204, headers=headers)


@speaks_tus
async def begin_upload(call: Call[None]) -> Response:
    """A new upload; Upload-Metadata names `title`, `filename` and, if known, `sha256` in hex."""
    settings, headers = call.wiring["settings"], call.request.headers
    new = parse_creation(headers, limit_bytes=settings.upload_limit_bytes)
    first = _is_bytes(call)
    checksum = parse_checksum(headers.get("upload-checksum", ""))
    async with call.wiring["begin"]() as unit:
        upload = await actions.create(
            new, by=call.principal, stores=unit, clock=call.wiring["clock"], expiry_s=settings.upload_expiry_s
        )
    if first:
        upload = await actions.receive(
            upload.id,
            0,
            _body(call),
            by=call.principal,
            ports=_ports(call),
            checksum=checksum,
            announced_bytes=_announced(call),
        )
    location = f"/v1/uploads/{upload.id}"
    return Response(status_code=201, headers={**_progress(upload), "Location": location})


@speaks_tus
async def read_upload(call: Call[None]) -> Response:
    """How many bytes of an upload are safe."""
    upload = await actions.find(call.path("upload"), by=call.principal, ports=_ports(call))
    length = {"Upload-Length": str(upload.size_bytes), "Upload-Metadata": metadata_of(upload)}
    return Response(status_code=200, headers={**_progress(upload), **length})


@speaks_tus
async def continue_upload(call: Call[None]) -> Response:
    """Bytes that follow the offset; the last ones complete the upload and queue its job."""
    headers = call.request.headers
    if not _is_bytes(call):
        raise Unsupported(f"Send bytes, with Content-Type: {OFFSET_TYPE}.")
    upload = await actions.receive(
        call.path("upload"),
        parse_offset(headers),
        _body(call),
        by=call.principal,
        ports=_ports(call),
        checksum=parse_checksum(headers.get("upload-checksum", "")),
        announced_bytes=_announced(call),
    )
    return Response(status_code=204, headers=_progress(upload))


@speaks_tus
async def end_upload(call: Call[None]) -> Response:
    """Stop an upload and drop its bytes."""
    await actions.terminate(call.path("upload"), by=call.principal, ports=_ports(call))
    return Response(status_code=204)


async def _body(call: Call[None]) -> AsyncIterator[bytes]:
    """The body as it comes; it ends where the client breaks off or falls silent."""
    stream = call.request.stream()
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                chunk = await anext(stream)
        except (StopAsyncIteration, ClientDisconnect, TimeoutError):
            return
        if chunk:
            yield chunk


def _ports(call: Call[None]) -> actions.Ports:
    wiring = call.wiring
    return actions.Ports(
        begin=wiring["begin"],
        bucket=wiring["bucket"],
        locks=wiring["upload_locks"],
        clock=wiring["clock"],
        expiry_s=wiring["settings"].upload_expiry_s,
    )


def _progress(upload: Upload) -> dict[str, str]:
    headers = {"Upload-Offset": str(upload.offset_bytes)}
    if upload.state == "open":
        headers["Upload-Expires"] = format_datetime(upload.expires_at, usegmt=True)
    return headers


def _is_bytes(call: Call[None]) -> bool:
    return call.request.headers.get("content-type", "").partition(";")[0].strip().lower() == OFFSET_TYPE


def _announced(call: Call[None]) -> int:
    """Content-Length, 0 where a body comes in chunks."""
    text = call.request.headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


ROUTES: list[Route] = [
    Route("OPTIONS", "/v1/uploads", describe_uploads, limit=READ, status=204, login=False, stream=True),
    Route(
        "POST",
        "/v1/uploads",
        begin_upload,
        limit=WRITE,
        status=201,
        stream=True,
        problems=(400, 404, 409, 410, 412, 413, 415, 422, 460),
    ),
    Route("HEAD", "/v1/uploads/{upload}", read_upload, limit=POLL, stream=True, problems=(410, 412, 423)),
    Route(
        "PATCH",
        "/v1/uploads/{upload}",
        continue_upload,
        limit=POLL,
        status=204,
        stream=True,
        problems=(400, 409, 410, 412, 413, 415, 423, 460),
    ),
    Route(
        "DELETE",
        "/v1/uploads/{upload}",
        end_upload,
        limit=WRITE,
        status=204,
        stream=True,
        problems=(409, 410, 412, 423),
    ),
]
