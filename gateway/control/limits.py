"""Rate limits: one GCRA bucket in Redis per route and principal or address; open when Redis is dead."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from ipaddress import ip_network

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.errors import TooMany
from shared.metrics import LIMITED, LIMITS_OPEN

#: GCRA (the leaky bucket as a meter) by Redis' clock. KEYS: buckets; ARGV: per bucket the seconds between two
#: requests and the burst. Answers, for the fullest bucket: allowed 0/1, remaining, seconds until it is empty, wait.
SCRIPT = """
local now = redis.call('TIME')
now = tonumber(now[1]) + tonumber(now[2]) / 1000000
local worst, tats = nil, {}
for i, key in ipairs(KEYS) do
  local gap, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local tat = math.max(tonumber(redis.call('GET', key) or now), now) + gap
  local wait = tat - now - gap * burst
  tats[i] = tat
  local left = math.floor((gap * burst - (tat - now)) / gap + 0.000001)
  if worst == nil or wait > worst[4] then worst = {wait <= 0.000001 and 1 or 0, math.max(left, 0), tat - now, wait} end
end
if worst[1] == 1 then
  for i, key in ipairs(KEYS) do
    redis.call('SET', key, string.format('%.6f', tats[i]), 'PX', math.ceil((tats[i] - now) * 1000) + 1000)
  end
end
return {worst[1], worst[2], tostring(worst[3]), tostring(worst[4])}
"""
#: An address may hold several people (NAT): its bucket is this many times a principal's.
ADDRESS_FACTOR = 5
#: Roles that work in bulk get a wider bucket.
ROLE_FACTOR: Mapping[str, int] = {"admin": 10, "owner": 2}


class Limit(msgspec.Struct, frozen=True):
    """`count` requests in `per_s` seconds, all of which may come at once."""

    count: int
    per_s: int = 60


READ = Limit(300)
WRITE = Limit(60)
AUTH = Limit(30)
POLL = Limit(1200)


class Taken(msgspec.Struct, frozen=True):
    """One request counted: the RateLimit headers to answer with, and the refusal when it was one too many."""

    headers: dict[str, str] = {}
    refusal: TooMany | None = None


class Verdict(msgspec.Struct, frozen=True):
    """What the buckets say, ready for RateLimit headers (draft-ietf-httpapi-ratelimit-headers-11)."""

    allowed: bool
    remaining: int
    reset_s: int
    retry_after_s: int


class Limits:
    """The buckets. `scale` widens all of them, for load tests."""

    def __init__(self, redis: Redis, *, scale: float = 1.0) -> None:
        self._script, self._scale = redis.register_script(SCRIPT), scale

    async def take(
        self, route: str, limit: Limit, *, address: str, principal: str = "", roles: Sequence[str] = ()
    ) -> Taken:
        """Count one request. fails="open", counted: without Redis nobody is refused."""
        count = limit.count * self._scale * max([ROLE_FACTOR.get(role, 1) for role in roles], default=1)
        buckets = [(f"limit:{route}:a:{_client(address)}", count * (ADDRESS_FACTOR if principal else 1))]
        if principal:
            buckets.append((f"limit:{route}:p:{principal}", count))
        try:
            verdict = await self._ask(buckets, limit.per_s)
        except (RedisError, OSError):
            LIMITS_OPEN.inc()
            return Taken()
        headers = {
            "RateLimit-Policy": f'"{route}";q={math.floor(count)};w={limit.per_s}',
            "RateLimit": f'"{route}";r={verdict.remaining};t={verdict.reset_s}',
        }
        if verdict.allowed:
            return Taken(headers)
        LIMITED.labels(route).inc()
        words = f"Too many requests; try again in {verdict.retry_after_s} s."
        return Taken(headers, TooMany(words, retry_after_s=verdict.retry_after_s))

    async def _ask(self, buckets: Sequence[tuple[str, float]], per_s: int) -> Verdict:
        arguments = [value for _, count in buckets for value in (per_s / count, count)]
        answer = await self._script(keys=[key for key, _ in buckets], args=arguments)
        allowed, remaining, reset, wait = (float(value) for value in answer)
        return Verdict(bool(allowed), int(remaining), math.ceil(reset), max(1, math.ceil(wait)))


def _client(address: str) -> str:
    """Whom an address stands for: an IPv6 client has a whole /64 and may use another of its addresses each time."""
    if ":" not in address:
        return address
    try:
        return str(ip_network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
