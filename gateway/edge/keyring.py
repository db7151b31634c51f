"""Public keys of playback tokens: control's JWKS, re-read politely, with the last copy on disk for a start alone."""

from __future__ import annotations

import asyncio
import base64
import collections
import http.client
import os
import re
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.edge import once
from shared import log

#: Seconds between two reads of the key set that requests cause; an unknown kid costs no more than this.
MIN_INTERVAL_S = 10.0
FETCH_TIMEOUT_S = 3.0
MAX_DOCUMENT = 64 * 1024
COORDINATE_BYTES = 32
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+\Z")
_KID = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class PublicKey(msgspec.Struct, frozen=True):
    """A key that verifies, with the one algorithm it does that by."""

    kid: str
    alg: str
    public: Any


class Document(msgspec.Struct, frozen=True):
    """A key set read: the keys that are sound, and why others are not used."""

    keys: dict[str, PublicKey]
    refused: tuple[str, ...] = ()


class _Set(msgspec.Struct, frozen=True):
    keys: list[dict[str, Any]]


def parse(data: bytes) -> Document:
    """Read a JWKS (RFC 7517). Raises ValueError when it is none; an unsound key in it is left out and named."""
    try:
        entries = msgspec.json.decode(data, type=_Set).keys
        once.check(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise ValueError(f"not a key set: {error}") from error
    kids = collections.Counter(str(entry.get("kid")) for entry in entries)
    keys: dict[str, PublicKey] = {}
    refused: list[str] = []
    for entry in entries:
        try:
            key = _public_key(entry)
            if kids[key.kid] > 1:
                raise ValueError(f"key {key.kid}: named {kids[key.kid]} times, so nobody knows which it is")
            keys[key.kid] = key
        except ValueError as error:
            refused.append(str(error))
    return Document(keys, tuple(refused))


def _public_key(entry: dict[str, Any]) -> PublicKey:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not _KID.match(kid):
        raise ValueError("a key without a usable kid")
    wanted = {"kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig"}
    for name, value in wanted.items():
        if entry.get(name) != value:
            raise ValueError(f"key {kid}: {name} is not {value}")
    if "d" in entry:
        raise ValueError(f"key {kid}: holds a private part")
    key_ops = entry.get("key_ops", ["verify"])
    if not isinstance(key_ops, list) or "verify" not in key_ops:
        raise ValueError(f"key {kid}: key_ops does not allow verify")
    x, y = (_coordinate(entry.get(name), f"key {kid}: {name}") for name in ("x", "y"))
    try:
        public = ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    except ValueError:
        raise ValueError(f"key {kid}: not a point of P-256") from None
    return PublicKey(kid, "ES256", public)


def _coordinate(text: object, what: str) -> int:
    if not isinstance(text, str) or not _BASE64URL.match(text):
        raise ValueError(f"{what} is not base64url")
    try:
        raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise ValueError(f"{what} is not base64url") from None
    if len(raw) != COORDINATE_BYTES:
        raise ValueError(f"{what} is not {COORDINATE_BYTES} bytes")
    return int.from_bytes(raw, "big")


def fetch(url: str) -> bytes:
    """GET a key set, directly and with a deadline. Blocks; raises OSError or ValueError."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("the address of the key set is not http or https")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=FETCH_TIMEOUT_S) as answer:
        data: bytes = answer.read(MAX_DOCUMENT + 1)
    if len(data) > MAX_DOCUMENT:
        raise ValueError("the key set is too large")
    return data


class Keyring:
    """The keys known now. Reading never raises: what fails is logged and the keys at hand stay in use."""

    def __init__(self, url: str, file: Path, *, tick: Callable[[], float]) -> None:
        self._url, self._file, self._tick = url, file, tick
        self._log = log.get("edge.keys")
        self._tried: float | None = None
        self._read: float | None = None
        self._running: asyncio.Task[None] | None = None
        self.keys: dict[str, PublicKey] = {}
        #: Called when a key that was in use is gone: whatever it signed is worth nothing now.
        self.on_drop: Callable[[], None] = lambda: None

    def age_s(self) -> float:
        """Seconds since keys were read from control, or from the file where that is the source; -1: never."""
        return -1.0 if self._read is None else self._tick() - self._read

    def load(self) -> None:
        """Take the copy on disk, where there is one."""
        try:
            self._accept(self._file.read_bytes())
        except (OSError, ValueError) as error:
            self._log.info("no keys on disk", words=str(error))

    async def refresh(self, *, asked: bool = True) -> None:
        """Read again: one read at a time, and one that a request `asked` for at most each MIN_INTERVAL_S."""
        if self._running is None:
            early = self._tried is not None and self._tick() - self._tried < MIN_INTERVAL_S
            if asked and early:
                return
            self._tried = self._tick()
            self._running = asyncio.create_task(self._again())
        await asyncio.shield(self._running)

    async def keep_fresh(self, every_s: float, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Read at once and then each `every_s`; each second as long as no key is known."""
        while True:
            await self.refresh(asked=False)
            await sleep(every_s if self.keys else 1.0)

    async def _again(self) -> None:
        try:
            data = await asyncio.to_thread(fetch, self._url) if self._url else self._file.read_bytes()
            self._accept(data)
            self._read = self._tick()
            if self._url:
                self._save(data)
        except (OSError, ValueError, http.client.HTTPException) as error:
            self._log.warning("the key set was not read", words=str(error))
        finally:
            self._running = None

    def _accept(self, data: bytes) -> None:
        document = parse(data)
        for words in document.refused:
            self._log.warning("a key is not used", words=words)
        if not document.keys:
            raise ValueError("the key set holds no usable key")
        dropped = self.keys.keys() - document.keys.keys()
        self.keys = document.keys
        if dropped:
            self.on_drop()

    def _save(self, data: bytes) -> None:
        """Keep a copy for a start without control, by rename; a folder that is read-only is no fault."""
        try:
            if self._file.exists() and self._file.read_bytes() == data:
                return
            self._file.parent.mkdir(parents=True, exist_ok=True)
            beside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
            beside.write_bytes(data)
            beside.replace(self._file)
        except OSError as error:
            self._log.warning("the key set was not kept on disk", words=str(error))
