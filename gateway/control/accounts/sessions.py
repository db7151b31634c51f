"""Sessions: drawn at random, signed with HMAC-SHA256, over when nobody used them for their time to live."""

from __future__ import annotations

import hashlib
import hmac
import secrets as random
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as NotBase64
from datetime import datetime, timedelta

from gateway.control.accounts.model import Session
from shared.clock import Clock
from shared.secrets import SESSION_HMAC, Secrets

SID_BYTES = 32
#: `last_seen` and the expiry are written at most this often, and at least four times in a short life.
TOUCH_S = 60


class Sessions:
    """Draws, signs and times sessions. The signed form is `b64url(sid).b64url(HMAC(sid))`."""

    def __init__(self, secrets: Secrets, clock: Clock, ttl_s: int) -> None:
        self._secrets, self._clock, self._ttl_s = secrets, clock, ttl_s

    def draw(self) -> Session:
        """A new session."""
        sid = random.token_bytes(SID_BYTES)
        return Session(f"{_encode(sid)}.{_encode(self._mac(sid))}", hashlib.sha256(sid).digest())

    def read(self, signed: str) -> bytes | None:
        """The id of a signed session's row; None when one bit of the text is not ours."""
        left, _, right = signed.partition(".")
        sid, mac = _decode(left), _decode(right)
        if sid is None or mac is None or len(sid) != SID_BYTES or not hmac.compare_digest(mac, self._mac(sid)):
            return None
        return hashlib.sha256(sid).digest()

    def now(self) -> datetime:
        """The time by which sessions live."""
        return self._clock.now()

    def until(self) -> datetime:
        """When a session that is used now ends."""
        return self._clock.now() + timedelta(seconds=self._ttl_s)

    def stale(self) -> datetime:
        """A session last seen before this is worth writing."""
        return self._clock.now() - timedelta(seconds=min(TOUCH_S, self._ttl_s // 4))

    def reset_token(self, mail: str) -> str:
        """The token of the reset link in a mail: 256 bits that nobody knows without our key, the same each time."""
        return _encode(self._mac(b"reset:" + mail.encode()))

    def _mac(self, sid: bytes) -> bytes:
        return hmac.digest(self._secrets.read(SESSION_HMAC), sid, "sha256")


def _encode(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes | None:
    """Canonical base64url only: what decodes to the same bytes in another spelling is refused."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (NotBase64, ValueError):
        return None
    return data if _encode(data) == text else None
