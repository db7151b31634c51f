"""Work for a card of another kind than this machine's: left for a while to the workers that have one.

Cards share one queue. One without an encoder unit, or that gives few sessions, would else take what another makes, and
have it planned anew for processors.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from redis.exceptions import RedisError

from farm.encoders import NVENC
from farm.encoders.failures import NO_ENCODER, TOO_FEW_SESSIONS
from shared.errors import EncodeFailed
from shared.need import Needs

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


async def others_fit(error: Exception, needs: Needs) -> bool:
    """Whether a chunk failed because of the kind of this machine's card, and another worker has one that makes it."""
    if not isinstance(error, EncodeFailed) or error.code not in (NO_ENCODER, TOO_FEW_SESSIONS):
        return False
    try:
        workers = await needs.workers()
    except (RedisError, OSError):
        return False
    wanted = error.details.get("sessions", 1)
    caps = [worker.sessions_cap for worker in workers if worker.encoder == NVENC.name and not worker.cordoned]
    return isinstance(wanted, int) and any(cap >= wanted for cap in caps)
