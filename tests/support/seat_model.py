"""What the seat script should do, as a few lines of Python, walked beside the real one by hypothesis."""

from __future__ import annotations

import asyncio
import json
import math
import time
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from redis.asyncio import Redis

from shared.seats import Claim, Policy, Seats, Verdict
from tests.support.seat_checks import GONE, LEASE_S, SEAT, SESS, SUB

SIDS = st.sampled_from(["sid-a", "sid-b", "sid-c", "sid-d"])
PLACES = st.sampled_from(["here", "there", ""])
#: More sessions than this make the script look for those that are over.
CROWD = 64


class Kept(msgspec.Struct):
    """A session as the model keeps it."""

    hmx: int
    place: str
    device: str
    since: float = 0.0


class SeatModel(RuleBasedStateMachine):
    """Seats of one viewer. A lease is ended by hand, so the model needs no clock but for what is stored."""

    #: The server; a test walks a subclass that names it.
    url = ""

    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._redis = Redis.from_url(self.url)
        self._run(self._redis.flushall())
        self._start = int(time.time())
        self._forget()

    def _forget(self) -> None:
        self.seated: set[str] = set()
        self.lapsed: set[str] = set()
        self.sessions: dict[str, Kept] = {}
        self.gone: dict[str, str] = {}
        self.gone_until = 0
        self.stale = 0

    def _run(self, work: Any) -> Any:
        async def waited() -> Any:
            return await work

        return self._runner.run(waited())

    def teardown(self) -> None:
        self._run(self._redis.aclose())
        self._runner.close()

    @rule(
        sid=SIDS,
        cap=st.integers(1, 3),
        policy=st.sampled_from(["refuse", "takeover_oldest"]),
        may_start=st.booleans(),
        hmx_in_s=st.sampled_from([LEASE_S - 15, 5000]),
        place=PLACES,
    )
    def take(self, sid: str, cap: int, policy: Policy, *, may_start: bool, hmx_in_s: int, place: str) -> None:
        hmx = self._start + hmx_in_s
        claim = Claim(
            sub=SUB, sid=sid, cap=cap, hmx=hmx, may_start=may_start, device=f"device of {sid}", place=place, title="ttl"
        )
        verdict: Verdict = self._run(Seats(self._redis, lease_s=LEASE_S, policy=policy).take(claim))
        expected = self._expected(claim, policy)
        assert (verdict.state, verdict.first, verdict.place, verdict.reason) == expected
        if verdict.state == "full":
            assert {seat.sid for seat in verdict.seats} == self.seated
        if verdict.state == "seated":
            self.sessions[sid].since = json.loads(self._run(self._redis.hget(SESS, sid)))["since"]

    def _expected(self, claim: Claim, policy: Policy) -> tuple[str, bool, str, str]:
        sid, kept = claim.sid, self.sessions.get(claim.sid)
        if sid in self.gone:
            return "gone", False, "", self.gone[sid]
        self.lapsed.clear()
        if sid in self.seated and kept:
            kept.hmx = max(kept.hmx, claim.hmx)
            return "seated", False, kept.place, ""
        self.seated.discard(sid)
        if not kept and not claim.may_start:
            return "late", False, "", ""
        while len(self.seated) >= claim.cap:
            if policy == "refuse":
                return "full", False, "", ""
            self._take_over(claim)
        if len(self.sessions) + self.stale > CROWD:
            self.stale = 0
        kept = kept or Kept(0, claim.place, claim.device)
        kept.hmx = max(kept.hmx, claim.hmx)
        first, self.sessions[sid] = sid not in self.sessions, kept
        self.seated.add(sid)
        return "seated", first, kept.place, ""

    def _take_over(self, claim: Claim) -> None:
        """The script says who lost; it must be one of the oldest. Times are stored with four decimals, so two may be
        equally old."""
        since = {sid: self.sessions[sid].since if sid in self.sessions else 0.0 for sid in self.seated}
        oldest = {sid for sid in since if since[sid] == min(since.values())}
        held = {sid.decode() for sid in self._run(self._redis.zrange(SEAT, 0, -1))}
        victim = min(oldest - held, default="nobody")
        assert victim in oldest
        kept = self.sessions.get(victim)
        self.gone[victim], self.gone_until = "taken-over", max(self.gone_until, kept.hmx if kept else claim.hmx)
        self.seated.discard(victim)

    @rule(sid=SIDS)
    def pause(self, sid: str) -> None:
        """The lease of a session ends."""
        if sid in self.seated:
            self._run(self._redis.zadd(SEAT, {sid: time.time() - 1}, xx=True))
            self.seated.discard(sid)
            self.lapsed.add(sid)

    @rule(sid=SIDS, may_start=st.booleans(), hmx_in_s=st.sampled_from([LEASE_S - 15, 5000]))
    def come_back(self, sid: str, *, may_start: bool, hmx_in_s: int) -> None:
        """A pause longer than the lease, and the same link again."""
        self.pause(sid)
        self.take(sid, 2, "refuse", may_start=may_start, hmx_in_s=hmx_in_s, place="there")

    @rule(sid=SIDS)
    def leave(self, sid: str) -> None:
        left = self._run(Seats(self._redis, lease_s=LEASE_S, policy="refuse").leave(SUB, sid))
        assert left == (sid in self.seated | self.lapsed)
        self.seated.discard(sid)
        self.lapsed.discard(sid)

    @rule(sid=SIDS)
    def revoke(self, sid: str) -> None:
        self._run(self._redis.hset(GONE, sid, "revoked"))
        self.gone[sid] = "revoked"

    @rule(sid=SIDS)
    def lose_session(self, sid: str) -> None:
        """What is kept of a session is lost, and its seat is not."""
        self._run(self._redis.hdel(SESS, sid))
        self.sessions.pop(sid, None)

    @precondition(lambda self: not self.stale)
    @rule()
    def age(self) -> None:
        """Many sessions have ended since."""
        self.stale = CROWD + 6
        old: dict[Any, Any] = {f"old-{number}": json.dumps({"hmx": 1}) for number in range(self.stale)}
        self._run(self._redis.hset(SESS, mapping=old))

    @precondition(lambda self: self.sessions)
    @rule()
    def wipe(self) -> None:
        self._run(self._redis.flushall())
        self._forget()

    @invariant()
    def redis_holds_what_the_model_does(self) -> None:
        held, sessions, gone, *left = self._run(self._look())
        leases = {sid.decode(): end for sid, end in held}
        assert leases.keys() == self.seated | self.lapsed
        kept = {sid.decode(): json.loads(text) for sid, text in sessions.items()}
        assert all(end <= self.sessions[sid].hmx for sid, end in leases.items() if sid in self.sessions)
        own = {sid: one for sid, one in kept.items() if not sid.startswith("old-")}
        assert len(kept) - len(own) == self.stale
        assert {sid: (one["hmx"], one["place"], one["d"], one["since"]) for sid, one in own.items()} == {
            sid: (one.hmx, one.place, one.device, one.since) for sid, one in self.sessions.items()
        }
        assert {sid.decode(): reason.decode() for sid, reason in gone.items()} == self.gone
        until = (
            max(leases.values(), default=0.0),
            max((one.hmx for one in self.sessions.values()), default=0),
            self.gone_until,
        )
        now = time.time()
        for left_s, end in zip(left, until, strict=True):
            assert left_s < 0 or left_s >= math.floor(end - now) - 1

    async def _look(self) -> list[Any]:
        pipe = self._redis.pipeline()
        pipe.zrange(SEAT, 0, -1, withscores=True)
        for key in (SESS, GONE):
            pipe.hgetall(key)
        for key in (SEAT, SESS, GONE):
            pipe.ttl(key)
        looked: list[Any] = await pipe.execute()
        return looked
