"""Addresses: request path → token and public path; (claims, public path) → key in the bucket. Nobody else maps."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from gateway.edge.refusals import Refusal

MAX_PATH = 2048
#: One segment of a name in the bucket: no dot first, so `.` and `..` cannot be said.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_MEDIA = re.compile(rf"v/[A-Za-z0-9_-]+(?:/{_SEGMENT}){{1,6}}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]*\Z")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEIGHT = re.compile(r"\d+")

#: What may be served, by extension, and what it is. All else (ready.json, work/, masters/) does not exist here.
TYPES: dict[str, str] = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt; charset=utf-8",
    ".jpg": "image/jpeg",
}


class Address(NamedTuple):
    """A request path taken apart: the token it carries (empty: none) and what follows, decoded once."""

    token: str
    path: str


def take_apart(raw_path: bytes) -> Address:
    """Split `/t/<token>/<path>` or `/v/...`. Raises Refusal path-malformed or not-found.

    The path is decoded once; one that is not in normal form then is refused, never repaired.
    """
    if len(raw_path) > MAX_PATH:
        raise Refusal("path-malformed", "This address is too long.")
    if raw_path.startswith(b"/v/"):
        return Address("", _decoded(raw_path[1:]))
    if not raw_path.startswith(b"/t/"):
        raise Refusal("not-found")
    token, slash, path = raw_path[3:].partition(b"/")
    if not slash:
        raise Refusal("not-found")
    return Address(token.decode("latin-1"), _decoded(path))


def _decoded(raw: bytes) -> str:
    if _BAD_ESCAPE.search(raw):
        raise Refusal("path-malformed", "A percent sign in this address is not followed by two hex digits.")
    try:
        path = unquote_to_bytes(raw).decode()
    except UnicodeDecodeError:
        raise Refusal("path-malformed", "This address is not UTF-8.") from None
    if _CONTROL.search(path):
        raise Refusal("path-malformed", "This address holds a control character.")
    if not _PLAIN.match(path):
        raise Refusal("not-found")
    return path


def key(path: str) -> str:
    """The bucket key of a public path. Raises Refusal not-found for whatever is no published media."""
    if not _MEDIA.match(path) or extension(path) not in TYPES:
        raise Refusal("not-found")
    return path


def extension(path: str) -> str:
    """`.m4s` of `…/3.m4s`; empty where the last segment has none."""
    dot = path.rfind(".")
    return path[dot:] if dot > path.rfind("/") else ""


def height(path: str) -> int:
    """The height a path belongs to: of its rendition folder, or of the ceiling it is the playlist of; 0: none."""
    parts = path.split("/")
    is_edition = len(parts) > 4 and parts[2] == "e"
    name = parts[4] if is_edition else parts[3] if len(parts) > 4 else ""
    match = _HEIGHT.match(name)
    return int(match.group()) if match else 0


def is_mutable(path: str) -> bool:
    """Whether the bytes behind a path may still change: media playlists, until their version is ready."""
    return path.endswith("/index.m3u8")
