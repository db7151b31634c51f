"""A small client of Usher's own HTTP API, for the CLI and the first start: JSON, problems as errors, tus uploads."""

from __future__ import annotations

import base64
import http.client
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from shared.errors import Refused, Unavailable

TUS = {"Tus-Resumable": "1.0.0"}
#: Bytes sent in one PATCH: a part of the bucket's multipart upload and a little more often than a person blinks.
PATCH_BYTES = 8 << 20


class Api:
    """Calls as one account (`bearer`), or as nobody. Each call is one connection and blocks."""

    def __init__(self, origin: str, bearer: str = "", *, timeout_s: float = 60.0) -> None:
        self.origin, self._bearer, self._timeout_s = origin.rstrip("/"), bearer, timeout_s
        parts = urlsplit(self.origin)
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname or "", parts.port

    def get(self, path: str) -> Any:
        """GET /v1/<path>."""
        return self.call("GET", path)

    def post(self, path: str, body: object = None) -> Any:
        """POST /v1/<path> with `body` as JSON."""
        return self.call("POST", path, body)

    def call(self, method: str, path: str, body: object = None) -> Any:
        """One request to /v1; the decoded answer. Raises Refused with the problem's words, or Unavailable."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = msgspec.json.encode(body) if body is not None else b""
        status, _, answer = self._send(method, f"/v1/{path}", data=data, headers=headers)
        return msgspec.json.decode(answer) if answer and status != 204 else None

    def upload(self, file: Path, metadata: dict[str, str], *, moved: Callable[[int], None] = lambda _: None) -> str:
        """Upload a file by tus and return the upload's path; `moved` is told the offset as it grows."""
        size = file.stat().st_size
        named = ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in metadata.items())
        headers = {**TUS, "Upload-Length": str(size), "Upload-Metadata": named}
        _, answered, _ = self._send("POST", "/v1/uploads", headers=headers)
        location = urlsplit(answered["location"]).path
        offset = 0
        with file.open("rb") as source:
            while offset < size:
                source.seek(offset)
                offset = self._patch(location, source.read(PATCH_BYTES), offset)
                moved(offset)
        return location

    def _patch(self, location: str, data: bytes, offset: int) -> int:
        """Send bytes at `offset`; the new offset, the server's own word."""
        headers = {**TUS, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        _, answered, _ = self._send("PATCH", location, data=data, headers=headers)
        return int(answered["upload-offset"])

    def _send(
        self, method: str, path: str, *, headers: dict[str, str], data: bytes = b""
    ) -> tuple[int, dict[str, str], bytes]:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout_s)
        if self._bearer:
            headers = headers | {"Authorization": f"Bearer {self._bearer}"}
        try:
            connection.request(method, path, body=data, headers=headers)
            answer = connection.getresponse()
            body = answer.read()
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable(f"{self.origin} does not answer ({error}): is `make run` running?") from error
        finally:
            connection.close()
        if answer.status >= 400:
            raise _problem(answer.status, body)
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


class Problem(Refused):
    """The API refused; `status` is the HTTP code, the words are the problem's own."""

    def __init__(self, words: str, /, *, status: int, code: str) -> None:
        super().__init__(words, code=code)
        self.status = status


def _problem(status: int, body: bytes) -> Problem:
    """RFC 9457 in, words out."""
    try:
        told = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        told = {}
    words = str(told.get("detail") or told.get("title") or f"The server answered {status}.")
    return Problem(words, status=status, code=str(told.get("code") or f"http-{status}"))
