"""Failures: who sent wrong tokens lately, and who may have another one looked at.

A flood of forgeries must cost little, and must keep nobody out who has nothing to do with it. So senders who failed
lately share one half of what may fail in a second, and cannot touch the other half, which is for everybody else: there
each forger is met once. What that half does not use is saved for some seconds, for a flood from thousands of addresses
that were never seen costs one look at each of them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address
from typing import Final

from gateway.edge.refusals import Refusal

#: Failed verifications a second, of one sender and of all together, after which new tokens get 429.
PER_ADDRESS, IN_TOTAL = 50, 1000
#: Seconds of the total that are saved for senders who did not fail lately.
SAVED_S: Final = 8
#: How long a failure is held against its sender, and of how many senders; the one that failed first is forgotten.
LATELY_S: Final = 600.0
REMEMBERED: Final = 32_768
#: Bits of an IPv6 address beside those of its /48.
_BESIDE: Final = 80


def sender_of(address: str) -> str:
    """Whom a failure is held against: an IPv4 address, or the /48 of an IPv6 address, which one sender may hold."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address)
    except ValueError:
        return address
    return str(parsed.ipv4_mapped) if parsed.ipv4_mapped else f"{int(parsed) >> _BESIDE:x}::/48"


class Failures:
    """Failed verifications: those of the running second by sender, and senders that failed lately."""

    def __init__(self, *, tick: Callable[[], float], per_address: int = PER_ADDRESS, total: int = IN_TOTAL) -> None:
        self._tick, self._per_address = tick, per_address
        #: What suspects may fail in a second, and what all others may: saved up to `_most`, refilled at `_share`.
        self._share, self._most = (total + 1) // 2, float(total * SAVED_S)
        self._second, self._of_suspects = 0, 0
        self._saved, self._refilled = self._most, tick()
        self._by_sender: dict[str, int] = {}
        self._suspects: OrderedDict[str, float] = OrderedDict()

    def is_suspect(self, sender: str) -> bool:
        """Whether a token of this sender failed lately."""
        failed = self._suspects.get(sender)
        return failed is not None and self._tick() - failed < LATELY_S

    def check(self, sender: str) -> bool:
        """Whether this sender is a suspect. Raises Refusal too-many where no token of his is to be looked at now."""
        self._pass_time()
        is_suspect = self.is_suspect(sender)
        if not is_suspect:
            may = self._saved >= 1 and self._by_sender.get(sender, 0) < self._per_address
        else:
            # The more of the share is gone, the less is left to who took much of it.
            left = min(1.0, 2 - 2 * self._of_suspects / self._share)
            may = self._by_sender.get(sender, 0) < self._per_address * left
        if not may:
            raise Refusal("too-many", retry_after_s=1)
        return is_suspect

    def count(self, sender: str) -> None:
        """Note one failure."""
        self._pass_time()
        if self.is_suspect(sender):
            self._of_suspects += 1
        else:
            self._saved -= 1
        self._by_sender[sender] = self._by_sender.get(sender, 0) + 1
        self._suspects[sender] = self._tick()
        self._suspects.move_to_end(sender)
        if len(self._suspects) > REMEMBERED:
            self._suspects.popitem(last=False)

    def _pass_time(self) -> None:
        tick = self._tick()
        self._saved = min(self._most, self._saved + (tick - self._refilled) * self._share)
        self._refilled = tick
        if int(tick) != self._second:
            self._second, self._of_suspects = int(tick), 0
            self._by_sender.clear()
