"""Hands: the several prefixes that fetch for one session, and what of that no single player does. Pure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from typing import Final

import msgspec

from gateway.edge.bitmaps import has, joined, mark
from gateway.edge.places import Place
from gateway.edge.thresholds import Limits

#: Prefixes remembered of a session; the one unused for longest is forgotten.
HANDS: Final = 16
#: Fetches, and replays that wait to be confirmed, remembered of a session.
REMEMBERED: Final = 1024


class Film:
    """What was fetched of one version: by anyone, picture and sound apart."""

    __slots__ = ("picture", "sound", "title", "version")

    def __init__(self, title: str, version: str) -> None:
        self.title, self.version = title, version
        self.picture, self.sound = bytearray(), bytearray()


class Hand:
    """One prefix that fetches: from which place it last did, when, and which indexes of which version."""

    __slots__ = ("bits", "last", "place")

    def __init__(self, place: Place) -> None:
        self.place, self.last = place, -math.inf
        self.bits: dict[Film, bytearray] = {}


class _Replay(msgspec.Struct):
    """An index that `hand` fetched again after one of `earlier`. It counts once both are active still: an earlier one
    came `back`, and then `hand` did. Who only changes networks, and perhaps returns, never does that."""

    tick: float
    hand: Hand
    earlier: tuple[Hand, ...]
    weight: float
    back: float = math.inf


class Hands:
    """All hands of one session, from its second one on."""

    def __init__(self, limits: Limits, *, is_soft: bool) -> None:
        self._limits, self._is_soft = limits, is_soft
        self._by_prefix: dict[str, Hand] = {}
        self._open: deque[_Replay] = deque(maxlen=REMEMBERED)
        self._replays: deque[tuple[float, float]] = deque(maxlen=REMEMBERED)
        self._turns: deque[tuple[float, Hand]] = deque(maxlen=REMEMBERED)

    def recall(self, place: Place, film: Film, bits: bytes | bytearray, *, last: float = -math.inf) -> None:
        """Take in what a hand had fetched before; that alone is no sign of sharing."""
        hand = self._hand(place)
        hand.bits[film] = joined(hand.bits.get(film, b""), bits)
        if last > hand.last:
            hand.last = last
            self._turns.append((last, hand))

    def fetched(self, place: Place, film: Film, index: int, *, tick: float) -> None:
        """Note one fetch. It may be news of another edge, and so be earlier than others that came before."""
        hand = self._hand(place)
        hand.place = place
        if self._open:
            self._confirm(hand, tick)
        bits = hand.bits.get(film)
        if bits is None:
            bits = hand.bits[film] = bytearray()
        if not has(bits, index):
            self._note_replay(hand, film, index, tick=tick)
            mark(bits, index)
        hand.last = max(hand.last, tick)
        self._turns.append((tick, hand))

    def forget(self, film: Film) -> None:
        """Drop what is known of a version."""
        for hand in self._by_prefix.values():
            hand.bits.pop(film, None)

    def past(self) -> list[tuple[Place, Film, bytearray]]:
        """What each hand has fetched so far."""
        return [(hand.place, film, bits) for hand in self._by_prefix.values() for film, bits in hand.bits.items()]

    def replayed(self, tick: float) -> float:
        """Indexes that another hand fetched again lately while an earlier one was active, by weight."""
        return sum(weight for at, weight in self._replays if at > tick - self._limits.replay_s)

    def _hand(self, place: Place) -> Hand:
        hand = self._by_prefix.get(place.prefix)
        if hand is None:
            if len(self._by_prefix) >= HANDS:
                del self._by_prefix[min(self._by_prefix.values(), key=lambda one: one.last).place.prefix]
            hand = self._by_prefix[place.prefix] = Hand(place)
        return hand

    def _note_replay(self, hand: Hand, film: Film, index: int, *, tick: float) -> None:
        """Another hand of the family fetched this before: it counts if that one is active still."""
        family = hand.place.family
        earlier = tuple(
            one
            for one in self._by_prefix.values()
            if one is not hand and one.place.family == family and has(one.bits.get(film, b""), index)
        )
        if not earlier:
            return
        weight = max(self._weight(hand.place, one.place) for one in earlier)
        replay = _Replay(tick, hand, earlier, weight)
        # News of other edges come late: both may have been seen after already.
        if not any(self._counts(replay, one, one.last) for one in (*earlier, hand)):
            self._open.append(replay)

    def _weight(self, here: Place, there: Place) -> float:
        is_abroad = here.country != there.country and here.country and there.country
        is_strange = is_abroad or here.is_other_device or there.is_other_device
        return self._limits.soft_weight if self._is_soft and is_strange else 1.0

    def _confirm(self, hand: Hand, tick: float) -> None:
        still_open: deque[_Replay] = deque(maxlen=REMEMBERED)
        for one in self._open:
            if not self._counts(one, hand, tick) and tick <= one.tick + 4 * self._limits.active_s:
                still_open.append(one)
        self._open = still_open

    def _counts(self, replay: _Replay, hand: Hand, tick: float) -> bool:
        """Whether a replay counts now that `hand` was seen at `tick`."""
        active_s = self._limits.active_s
        if hand in replay.earlier and replay.tick < tick <= replay.tick + active_s:
            replay.back = min(replay.back, tick)
        seen = tick if hand is replay.hand else replay.hand.last
        if not replay.back < seen <= replay.back + active_s:
            return False
        self._replays.append((replay.tick, replay.weight))
        return True

    def interleaving(self, tick: float) -> int:
        """Prefixes of one family that came back after another had a turn, in each of two successive windows."""
        if len(self._by_prefix) < self._limits.prefixes:
            return 0
        window_s = self._limits.window_s
        while self._turns and self._turns[0][0] < tick - 4 * window_s:
            self._turns.popleft()
        turns = sorted(self._turns, key=lambda turn: turn[0])
        most = 0
        for family in (4, 6):
            back = _came_back([turn for turn in turns if turn[1].place.family == family], window_s)
            for window, hands in back.items():
                most = max(most, min(len(hands), len(back.get(window + 1, ()))))
        return most


def _came_back(turns: Iterable[tuple[float, Hand]], window_s: float) -> dict[int, set[Hand]]:
    """By window, the hands whose last fetch was at most a window ago and not the last of all."""
    back: dict[int, set[Hand]] = {}
    seen: dict[Hand, float] = {}
    last: Hand | None = None
    for tick, hand in turns:
        if last is not hand and tick - seen.get(hand, -math.inf) <= window_s:
            back.setdefault(int(tick // window_s), set()).add(hand)
        seen[hand], last = tick, hand
    return back
