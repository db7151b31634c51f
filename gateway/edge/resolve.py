"""Addresses: request path → token and public path; (claims, public path) → key in the bucket. Nobody else maps."""

from __future__ import annotations

import re
from typing import Final, Literal
from urllib.parse import unquote_to_bytes

import msgspec

from gateway.edge.refusals import Refusal

#: What belongs to playback begins so.
PREFIXES: Final = (b"/t/", b"/v/")
MAX_PATH = 2048
#: One segment of a name in the bucket: no dot first, so `.` and `..` cannot be said.
_SEGMENT = r"[A-Za-z0-9_][A-Za-z0-9_.-]*"
_MEDIA = re.compile(rf"v/[A-Za-z0-9_-]+(?:/{_SEGMENT}){{1,6}}\Z")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]*\Z")
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_HEIGHT = re.compile(r"\d+")
_INDEX = re.compile(r"\d{1,9}\Z")

#: What may be served, by extension, and what it is. All else (ready.json, work/, masters/) does not exist here.
TYPES: dict[str, str] = {
    ".m3u8": "application/vnd.apple.mpegurl",
    ".m4s": "video/iso.segment",
    ".mp4": "video/mp4",
    ".vtt": "text/vtt; charset=utf-8",
    ".jpg": "image/jpeg",
}


Kind = Literal["playlist", "segment", "init", "other", "act"]
#: Names under `/t/<token>/` that are acts of a player, not media.
ACTS: Final = ("end", "beat")
#: Paths whose targets are remembered.
REMEMBERED: Final = 16_384


class Target(msgspec.Struct, frozen=True):
    """What a public path names. `key` is where its bytes lie in the bucket; empty: nothing is served there.

    `index` is the number of a segment in its rendition, -1 for what is none; `height` is 0 where there is none.
    """

    path: str
    key: str
    kind: Kind
    extension: str
    height: int = 0
    title: str = ""
    version: str = ""
    rendition: str = ""
    index: int = -1
    is_sound: bool = False


class Targets:
    """Targets by the bytes of the path, remembered: players ask for the same paths again and again."""

    def __init__(self) -> None:
        self._by_path: dict[bytes, Target] = {}

    def known(self, raw: bytes) -> Target | None:
        """The target of a public path as it came, where it names media and is remembered."""
        return self._by_path.get(raw)

    def of(self, raw: bytes) -> Target:
        """The target of a public path as it came. Raises Refusal path-malformed or not-found.

        The path is decoded once; one that is not in normal form then is refused, never repaired.
        """
        known = self._by_path.get(raw)
        if known is not None:
            return known
        found = target(_decoded(raw))
        if found.key:
            if len(self._by_path) >= REMEMBERED:
                self._by_path.clear()
            self._by_path[raw] = found
        return found


def split(raw_path: bytes) -> tuple[bytes, bytes]:
    """Split `/t/<token>/<path>` or `/v/...` into token (empty: none) and path. Raises Refusal."""
    if len(raw_path) > MAX_PATH:
        raise Refusal("path-malformed", "This address is too long.")
    if raw_path.startswith(b"/t/"):
        end = raw_path.find(b"/", 3)
        if end > 0:
            return raw_path[3:end], raw_path[end + 1 :]
    elif raw_path.startswith(b"/v/"):
        return b"", raw_path[1:]
    raise Refusal("not-found")


def target(path: str) -> Target:
    """What a decoded path names."""
    if path in ACTS:
        return Target(path, "", "act", "")
    ending = extension(path)
    if not _MEDIA.match(path) or ending not in TYPES:
        return Target(path, "", "other", ending, height=height(path))
    _, title, version, *rest = path.split("/")
    rendition = rest[0] if len(rest) > 1 and version != "e" else ""
    name = rest[-1].removesuffix(ending) if rest else ""
    return Target(
        path,
        path,
        _kind(ending),
        ending,
        height=height(path),
        title=title,
        version=version if version != "e" else "",
        rendition=rendition,
        index=int(name) if ending == ".m4s" and _INDEX.match(name) else -1,
        is_sound=rendition.startswith("audio"),
    )


def _kind(ending: str) -> Kind:
    kinds: dict[str, Kind] = {".m3u8": "playlist", ".m4s": "segment", ".mp4": "init"}
    return kinds.get(ending, "other")


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
