"""Checks for bots at register: none, a proof of work of our own, or Cloudflare Turnstile."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import secrets as random
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from redis.asyncio import Redis
from redis.exceptions import RedisError

from gateway.control.accounts.model import BotCheck, Challenge
from shared.clock import Clock
from shared.errors import Invalid, Unavailable
from shared.metrics import LIMITS_OPEN
from shared.secrets import SESSION_HMAC, Secrets
from shared.settings import ControlSettings

CHALLENGE_TTL_S = 600
TURNSTILE_URL = "https://challenges.cloudflare.com/turnstile/v0/siteverify"
TURNSTILE_DEADLINE_S = 5


class Off:
    """Asks for nothing."""

    async def challenge(self) -> Challenge:
        """Nothing to answer."""
        return Challenge("off")

    async def check(self, proof: str, *, address: str) -> None:
        """Everything passes."""


class ProofOfWork:
    """Hashcash: a challenge signed by us, a text that makes its SHA-256 begin with zero bits, good once."""

    def __init__(self, redis: Redis, secrets: Secrets, clock: Clock, *, bits: int) -> None:
        self._redis, self._secrets, self._clock, self._bits = redis, secrets, clock, bits

    async def challenge(self) -> Challenge:
        """A challenge that nobody had before."""
        said = f"{int(self._clock.epoch()) + CHALLENGE_TTL_S}.{self._bits}.{random.token_hex(16)}"
        return Challenge("pow", challenge=f"{said}.{self._mac(said)}", bits=self._bits)

    async def check(self, proof: str, *, address: str) -> None:
        """Raises Invalid. That a proof is used once is fails="open", counted: the work was done all the same."""
        challenge, _, nonce = proof.rpartition(".")
        said, _, mac = challenge.rpartition(".")
        if not nonce or not hmac.compare_digest(mac.encode(), self._mac(said).encode()):
            raise Invalid("The check for bots was not answered; reload the page.", code="bot-check")
        ends, bits, drawn = said.split(".")
        left_s = int(ends) - int(self._clock.epoch())
        if left_s <= 0 or leading_zero_bits(hashlib.sha256(proof.encode()).digest()) < int(bits):
            raise Invalid("The answer to the check for bots is wrong or too old; reload the page.", code="bot-check")
        if not await self._first_use(drawn, left_s):
            raise Invalid("This answer to the check for bots was used; reload the page.", code="bot-check")

    async def _first_use(self, drawn: str, left_s: int) -> bool:
        try:
            return bool(await self._redis.set(f"pow:{drawn}", 1, ex=left_s, nx=True))
        except (RedisError, OSError):
            LIMITS_OPEN.inc()
            return True

    def _mac(self, said: str) -> str:
        key = hmac.digest(self._secrets.read(SESSION_HMAC), b"proof of work", "sha256")
        return hmac.new(key, said.encode(), "sha256").hexdigest()


class Turnstile:
    """Cloudflare Turnstile, asked over HTTPS in a thread. fails="closed": without its answer nobody registers."""

    def __init__(self, site_key: str, secret: str, *, url: str = TURNSTILE_URL) -> None:
        self._site_key, self._secret, self._url = site_key, secret, url

    async def challenge(self) -> Challenge:
        """The key for the widget."""
        return Challenge("turnstile", site_key=self._site_key)

    async def check(self, proof: str, *, address: str) -> None:
        """Raises Invalid for a proof that Turnstile refuses, Unavailable when it does not answer."""
        form = urlencode({"secret": self._secret, "response": proof, "remoteip": address}).encode()
        try:
            answer = json.loads(await asyncio.to_thread(self._ask, form))
        except (URLError, OSError, ValueError) as error:
            raise Unavailable("The check for bots did not answer; try again in a moment.") from error
        if not answer.get("success"):
            raise Invalid("The check for bots was not passed; reload the page.", code="bot-check")

    def _ask(self, form: bytes) -> bytes:
        with urlopen(self._url, form, timeout=TURNSTILE_DEADLINE_S) as response:  # noqa: S310 - a constant of ours
            return bytes(response.read(65536))


def leading_zero_bits(digest: bytes) -> int:
    """How many zero bits a digest begins with."""
    return len(digest) * 8 - int.from_bytes(digest, "big").bit_length()


def open_bot_check(settings: ControlSettings, *, redis: Redis, secrets: Secrets, clock: Clock) -> BotCheck:
    """The check that the settings name."""
    if settings.bot_check == "pow":
        return ProofOfWork(redis, secrets, clock, bits=settings.bot_check_bits)
    if settings.bot_check == "turnstile":
        return Turnstile(settings.turnstile_site_key, settings.turnstile_secret)
    return Off()
