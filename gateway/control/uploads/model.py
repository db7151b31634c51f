"""Uploads as values: what tus headers mean, what may come in, and what bytes a master begins with."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from shared.errors import Gone, Refused, TooLarge, Unsupported
from shared.storage import names
from shared.storage.base import PART_LAST, PART_MIN_BYTES

State = Literal["open", "completed", "aborted", "expired"]
Mode = Literal["fixed", "per-title"]

TUS_VERSION = "1.0.0"
TUS_EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
#: Algorithms of the checksum extension, best first.
CHECKSUMS = ("sha256", "sha1")
#: What `loudness` of Upload-Metadata says: as it is in the master, or brought to -16 LUFS.
KEPT, EVEN = "kept", "even"
OFFSET_TYPE = "application/offset+octet-stream"
#: The container is told from this many first bytes, or from all where a file is smaller.
SNIFF_BYTES = 4096
EXTENSIONS = frozenset(
    "mp4 m4v mov mkv webm avi ts m2ts mts mp3 m4a flac wav ogg oga ogv opus aac".split()  # noqa: SIM905 - a list to read
)
KINDS = "MP4, MOV, MKV, WebM, AVI, TS, MP3, M4A, FLAC, WAV, OGG or AAC"
GONE = {
    "expired": "This upload waited too long and was dropped; begin a new one.",
    "aborted": "This upload was stopped or refused; begin a new one.",
}

_DIGITS = re.compile(r"[0-9]{1,18}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MIB = 1 << 20


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload's row but for its tail. `seller` is who owns the title: `can` reads it.

    `mode` and `loudness`: what its job does (`shared.jobs.ProbeTicket`).
    """

    id: str
    title: str
    seller: str
    principal: str
    filename: str
    size_bytes: int
    offset_bytes: int = 0
    stored_bytes: int = 0
    multipart: str | None = None
    container: str | None = None
    sha256: str | None = None
    announced_sha256: str | None = None
    mode: Mode = "fixed"
    loudness: bool = False
    state: State = "open"
    created_at: datetime
    expires_at: datetime

    @property
    def key(self) -> str:
        """Where the master will lie."""
        return names.master(self.title, self.id)

    @property
    def received(self) -> bool:
        """Whether every byte is here."""
        return self.offset_bytes == self.size_bytes

    @property
    def part_bytes(self) -> int:
        """Size of every part but the last: the least that the bucket takes, more where parts would run out."""
        least = -(-self.size_bytes // PART_LAST)
        return max(PART_MIN_BYTES, -(-least // _MIB) * _MIB)

    @property
    def next_part(self) -> int:
        """Number of the part that comes next. It follows from the offset, so a part sent again replaces itself."""
        return self.stored_bytes // self.part_bytes + 1


class NewUpload(msgspec.Struct, frozen=True, kw_only=True):
    """What a client says of a file before it sends it, and how it wants it made."""

    title: str
    filename: str
    size_bytes: int
    sha256: str | None = None
    mode: Mode = "fixed"
    loudness: bool = False


class Checksum(msgspec.Struct, frozen=True):
    """What the bytes of one request must hash to."""

    algorithm: Literal["sha256", "sha1"]
    digest: bytes


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far an upload has come; written in one piece, so that offset and tail always agree."""

    offset_bytes: int
    stored_bytes: int
    tail: bytes
    container: str | None
    expires_at: datetime


class Uploads(Protocol):
    """What the actions ask of storage."""

    async def insert(self, upload: Upload) -> None: ...
    async def by_id(self, id: str) -> Upload | None: ...
    async def tail(self, id: str) -> bytes: ...
    async def set_multipart(self, id: str, multipart: str) -> None: ...
    async def advance(self, upload: Upload, progress: Progress) -> bool: ...
    async def complete(self, id: str, *, sha256: str, at: datetime) -> bool: ...
    async def end(self, id: str, state: State) -> bool: ...
    async def waiting(self, now: datetime) -> list[str]: ...


class Locks(Protocol):
    """One writer an upload, among all processes."""

    def hold(self, id: str) -> AbstractAsyncContextManager[None]:
        """Raises Locked where somebody writes this upload now. The lock ends with the block, or with the process."""
        ...


def check_open(upload: Upload, now: datetime) -> None:
    """Raises Gone for an upload that is over; one that has all its bytes only waits to be completed."""
    if upload.state in GONE:
        raise Gone(GONE[upload.state], code=f"upload-{upload.state}")
    if upload.state == "open" and not upload.received and upload.expires_at <= now:
        raise Gone(GONE["expired"], code="upload-expired")


def parse_creation(headers: Mapping[str, str], *, limit_bytes: int) -> NewUpload:
    """The file that creation headers announce. Raises Refused for their form, TooLarge, or Unsupported for its kind."""
    if "upload-defer-length" in headers:
        raise bad_header("Upload-Defer-Length is not supported: send Upload-Length.")
    length = headers.get("upload-length", "").strip()
    if length.isascii() and length.isdigit() and int(length[:20]) > limit_bytes:
        raise TooLarge(f"A master may have {limit_bytes} bytes at most.", limit_bytes=limit_bytes)
    size_bytes = _number("Upload-Length", length)
    metadata = parse_metadata(headers.get("upload-metadata", ""))
    if not metadata.get("title"):
        raise bad_header("Upload-Metadata names no `title`: the id of the title this master is for.")
    sha256 = metadata.get("sha256", "").lower() or None
    if sha256 and not _SHA256.fullmatch(sha256):
        raise bad_header("`sha256` of Upload-Metadata is 64 hexadecimal digits.")
    filename = check_filename(metadata.get("filename", ""))
    if size_bytes == 0:
        raise Unsupported("This file is empty.", code="empty-file")
    if metadata.get("mode", "fixed") not in ("fixed", "per-title"):
        raise bad_header("`mode` of Upload-Metadata is fixed or per-title.")
    if metadata.get("loudness", KEPT) not in (KEPT, EVEN):
        raise bad_header(f"`loudness` of Upload-Metadata is {KEPT} or {EVEN}.")
    return NewUpload(
        title=metadata["title"],
        filename=filename,
        size_bytes=size_bytes,
        sha256=sha256,
        mode="per-title" if metadata.get("mode") == "per-title" else "fixed",
        loudness=metadata.get("loudness") == EVEN,
    )


def parse_metadata(text: str) -> dict[str, str]:
    """`key base64,key base64` as a dict. Raises Refused for another form."""
    found: dict[str, str] = {}
    for pair in filter(None, (piece.strip() for piece in text.split(","))):
        key, _, value = pair.partition(" ")
        try:
            decoded = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, UnicodeDecodeError, ValueError) as error:
            raise bad_header(f"Upload-Metadata: the value of {key[:40]!r} is not base64 of UTF-8 text.") from error
        if key in found or not key.isascii():
            raise bad_header(f"Upload-Metadata: the key {key[:40]!r} stands twice or is not ASCII.")
        found[key] = decoded
    return found


def metadata_of(upload: Upload) -> str:
    """The Upload-Metadata that began this upload."""
    facts = {"title": upload.title, "filename": upload.filename, "sha256": upload.announced_sha256}
    facts |= {"mode": upload.mode if upload.mode != "fixed" else None, "loudness": EVEN if upload.loudness else None}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in facts.items() if value)


def parse_offset(headers: Mapping[str, str]) -> int:
    """The Upload-Offset of a PATCH."""
    return _number("Upload-Offset", headers.get("upload-offset", "").strip())


def parse_checksum(text: str) -> Checksum | None:
    """`algorithm base64` of Upload-Checksum, None where there is none. Raises Refused for another form."""
    if not text:
        return None
    algorithm, _, encoded = text.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise bad_header(f"Upload-Checksum: the algorithm is one of {', '.join(CHECKSUMS)}.")
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if len(digest) != {"sha256": 32, "sha1": 20}[algorithm]:
        raise bad_header(f"Upload-Checksum: the value is not a {algorithm} in base64.")
    return Checksum(algorithm, digest)  # type: ignore[arg-type]


def check_filename(name: str) -> str:
    """The last part of a file's name. Raises Unsupported unless its extension is that of a master."""
    last = re.split(r"[/\\]", name)[-1].strip()
    if not last or len(last) > 255 or not last.isprintable():
        raise bad_header("Upload-Metadata names no `filename` of 1 to 255 printable characters.")
    if "." not in last or last.rsplit(".", 1)[1].lower() not in EXTENSIONS:
        raise Unsupported(f"{last!r} is not a kind of file that is taken: send {KINDS}.", code="extension")
    return last


def check_container(head: bytes) -> str:
    """The container that the first bytes of a file tell. Raises Unsupported with what the file is instead."""
    if found := sniff(head):
        return found
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"#EXT"):
        words = "This is a playlist that names other files, not a video itself."
    elif text.startswith((b"ffconcat", b"file ")):
        words = "This is a list of files to join, not a video itself."
    elif b"\0" not in head and not _is_binary(head):
        words = "This is a text file, whatever its name says."
    else:
        words = "This is neither a video nor a sound file that is known here."
    raise Unsupported(f"{words} Send {KINDS}.", code="not-a-master")


def sniff(head: bytes) -> str | None:
    """The container whose magic `head` begins with; never told from a name."""
    box = head[4:8]
    if box == b"ftyp":
        return {b"qt  ": "mov", b"M4A ": "m4a", b"M4B ": "m4a"}.get(head[8:12], "mp4")
    if box in (b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot") and len(head) > 8:
        return "mov"
    if head[:4] == b"\x1a\x45\xdf\xa3":
        return "webm" if b"webm" in head[:64] else "mkv" if b"matroska" in head[:64] else None
    if head[:4] in (b"RIFF", b"RF64"):
        return {b"AVI ": "avi", b"WAVE": "wav"}.get(head[8:12])
    for magic, container in ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"ID3", "mp3")):
        if head.startswith(magic):
            return container
    return _sniff_frames(head)


def bad_header(words: str) -> Refused:
    """A header whose form is wrong: 400."""
    return Refused(words, code="bad-header")


def _sniff_frames(head: bytes) -> str | None:
    """Formats that have no magic but a sync word in each frame or packet."""
    for start, step in ((0, 188), (4, 192)):
        syncs = head[start : start + 5 * step : step]
        if len(syncs) >= 2 and set(syncs) == {0x47}:
            return "ts"
    if len(head) < 4 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0 and (head[2] >> 2) & 0xF < 13:  # ADTS: layer 0, a known sampling rate
        return "aac"
    version, layer = (head[1] >> 3) & 3, (head[1] >> 1) & 3
    rate, sampling = head[2] >> 4, (head[2] >> 2) & 3
    if head[1] & 0xE0 == 0xE0 and version != 1 and layer == 1 and rate not in (0, 15) and sampling != 3:
        return "mp3"
    return None


def _is_binary(head: bytes) -> bool:
    controls = sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in head)
    return controls > len(head) // 50


def _number(header: str, text: str) -> int:
    if not _DIGITS.fullmatch(text):
        raise bad_header(f"{header} is a whole number of bytes, 0 or more.")
    return int(text)
