"""Failed logins, counted in Redis by account and address."""

from __future__ import annotations

import hashlib

from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import TooMany
from shared.metrics import LIMITS_OPEN
from shared.network import place_of

FAILURES, WINDOW_S = 20, 300
#: An attempt counts before its password is looked at, so that many at once gain nothing; success takes it back.
COUNT = """
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return {count, redis.call('TTL', KEYS[1])}
"""


class FailedLogins:
    """20 failures of an account from an address in 300 s, then nobody logs in there. fails="open", counted."""

    def __init__(self, redis: Redis) -> None:
        self._redis, self._count = redis, redis.register_script(COUNT)

    async def begin(self, account: str, address: str) -> None:
        """Count an attempt as failed until `succeeded`. Raises TooMany."""
        try:
            count, left_s = await self._count(keys=[_key(account, address)], args=[WINDOW_S])
        except (RedisError, OSError):
            LIMITS_OPEN.inc()
            return
        if count > FAILURES:
            wait_s = max(1, int(left_s))
            raise TooMany(f"Too many failed logins; try again in {wait_s} s.", retry_after_s=wait_s)

    async def succeeded(self, account: str, address: str) -> None:
        """Forget the failures."""
        try:
            await self._redis.delete(_key(account, address))
        except (RedisError, OSError):
            LIMITS_OPEN.inc()


def _key(account: str, address: str) -> str:
    """No name in clear in Redis; an IPv6 client has a whole network of addresses, so its prefix counts."""
    place = place_of(address) if ":" in address else address
    return f"login:failed:{hashlib.sha256(f'{account} {place}'.encode()).hexdigest()}"
