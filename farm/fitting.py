"""Work for a card of another kind than this machine's: left for a while to the workers that have one.

Cards share one queue. One without an encoder unit, or that gives few sessions, would else take what another makes, and
have it planned anew for processors. And a machine that cannot work at all, whose disk is full for one, is always idle:
it would take each piece that others have no hands for, and fail it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from farm.encoders import NVENC
from farm.encoders.failures import NO_CARD, NO_ENCODER, TOO_FEW_SESSIONS
from shared.errors import EncodeFailed
from shared.jobs import KILLED, Failed
from shared.need import Needs, WorkerState

#: Seconds for which a plan is left; then it is looked at anew who there is.
LEFT_S = 60.0


class Left:
    """The plans that this process leaves to others now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._until = clock, dict[str, float]()

    def leave(self, plan: str) -> None:
        """Leave it from now on."""
        self._until[plan] = self._clock() + LEFT_S

    def plans(self) -> tuple[str, ...]:
        """Those that are left still."""
        self._until = {plan: until for plan, until in self._until.items() if until > self._clock()}
        return tuple(self._until)


#: Of this process; what it leaves outlives a task.
LEFT = Left()


async def others_fit(error: Exception, needs: Needs, *, own: str) -> bool:
    """Whether a chunk failed because of the card of this machine, and a worker but `own` has one that makes it."""
    if not isinstance(error, EncodeFailed) or error.code not in (NO_CARD, NO_ENCODER, TOO_FEW_SESSIONS):
        return False
    wanted = error.details.get("sessions", 1)
    caps = [worker.sessions_cap for worker in await _others(needs, own) if worker.encoder == NVENC.name]
    return isinstance(wanted, int) and any(cap >= wanted for cap in caps)


async def others_work(failed: Failed, needs: Needs, *, own: str) -> bool:
    """Whether it is this machine that failed (its disk, its programs), and there is a worker but `own`."""
    return failed.lost and failed.code != KILLED and bool(await _others(needs, own))


async def _others(needs: Needs, own: str) -> list[WorkerState]:
    """The workers that take work; none where Redis is away. fails="none"."""
    try:
        return [worker for worker in await needs.workers() if worker.name != own and not worker.cordoned]
    except (RedisError, OSError):
        return []
