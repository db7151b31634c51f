"""Requests as they were read, and what ASGI calls them."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import httptools

from gateway.edge.http1.heads import Header


class Request:
    """One request whose head is here."""

    __slots__ = ("close", "early", "expects", "has_all", "has_body", "headers", "method", "url", "version")

    def __init__(self, method: str, url: bytes, headers: list[Header], version: str) -> None:
        self.method, self.url, self.headers, self.version = method, url, headers, version
        self.close = self.expects = self.has_body = self.has_all = False
        #: Of its body, while another request is being answered.
        self.early = b""


def origin_form(url: bytes) -> bytes:
    """The path and query of an absolute target; what is none stays as it is, and is refused as a path."""
    try:
        parts = httptools.parse_url(url)
    except httptools.HttpParserInvalidURLError:
        return url
    path = parts.path or b"/"
    return path + b"?" + parts.query if parts.query else path


def scope(request: Request, path: bytes, query: bytes, *, client: tuple[str, int]) -> dict[str, Any]:
    """What Starlette is told of a request."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": request.version,
        "method": request.method,
        "scheme": "http",
        "path": unquote(path.decode("latin-1")),
        "raw_path": path,
        "query_string": query,
        "root_path": "",
        "headers": request.headers,
        "client": client,
        "server": None,
        "extensions": {},
        "state": {},
    }
