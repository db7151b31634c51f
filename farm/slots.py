"""NVENC sessions of a machine: a semaphore of locked files that die with their process, and how many there are.

A card's driver bounds how many renditions it encodes at once, over all processes of the machine. The bound is learnt by
opening sessions at the start, and lowered for a while when the card gives fewer (another program uses some).
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from farm.encoders import encoder
from farm.encoders.failures import NO_CARD, NO_ENCODER, NO_SESSION, TOO_FEW_SESSIONS, gone, is_full
from farm.plan import Plan
from shared.errors import CardBusy, EncodeFailed
from shared.settings import FarmSettings

#: Sessions that are tried at most at the start: more than one machine keeps busy.
MOST = 16
#: Seconds that a lowered cap holds, and how often in a row it is lowered before the card counts as unusable.
LOWERED_S, LOWERED_TIMES = 60, 3
#: Seconds between two looks for free slots.
LOOK_S = 0.05
Kept = TypeVar("Kept")


class Lowered(msgspec.Struct, frozen=True):
    """`lowered.json`: the cap for a while, since when (seconds of the clock), and how often in a row."""

    cap: int
    since: float
    times: int


def folder_of(settings: FarmSettings) -> Path:
    """Where the machine's slots lie: workers that share a card must share this folder."""
    return settings.scratch_dir.absolute() / "sessions"


@contextlib.asynccontextmanager
async def on_card(plan: Plan, settings: FarmSettings, *, cap: int) -> AsyncIterator[None]:
    """Room on the card for one chunk of the plan's picture, and its errors told apart; plans of the CPU just go on.

    Raises CardBusy where no sessions came free in `gpu_wait_s` or the card gave none, and EncodeFailed with a code of
    farm/encoders/failures.py where the card can never make this.
    """
    made = encoder(plan.encoder)
    if not made.card:
        yield
        return
    folder, count = folder_of(settings), made.sessions(plan.picture.renditions)
    _check(count, cap)
    async with take(folder, count, cap=cap_now(folder, cap), wait_s=settings.gpu_wait_s) as got:
        if not got:
            raise CardBusy(f"no {count} of {cap} NVENC sessions came free", sessions=count)
        try:
            yield
        except EncodeFailed as error:
            raise _judged(error, folder, cap) from error
        if count:
            raised(folder)


def _check(count: int, cap: int) -> None:
    if count and not cap:
        raise EncodeFailed("this machine's card has no encoder unit", code=NO_ENCODER, sessions=count)
    if count > cap:
        words = f"a chunk needs {count} NVENC sessions, the card gives {cap}"
        raise EncodeFailed(words, code=TOO_FEW_SESSIONS, sessions=count)


def _judged(error: EncodeFailed, folder: Path, cap: int) -> EncodeFailed | CardBusy:
    """What a failure on a card means: not our turn, never again on a card, or as it is."""
    if is_full(error):
        if lower(folder, cap).times >= LOWERED_TIMES:
            return EncodeFailed("the card gives no NVENC sessions any more", code=NO_SESSION, **error.details)
        return CardBusy("the card gave fewer NVENC sessions than it has")
    if line := gone(error):
        return EncodeFailed(f"the card is of no use: {line}", code=NO_CARD, **error.details)
    return error


@contextlib.asynccontextmanager
async def take(folder: Path, count: int, *, cap: int, wait_s: float) -> AsyncIterator[bool]:
    """Hold `count` of `cap` slots, all or none; False where they did not come free in `wait_s`."""
    until, held = time.monotonic() + wait_s, _locked(folder, count, cap)
    while held is None and time.monotonic() < until:
        await asyncio.sleep(LOOK_S)
        held = _locked(folder, count, cap)
    try:
        yield held is not None
    finally:
        for lock in held or ():
            os.close(lock)


def used(folder: Path) -> int:
    """How many slots are held by processes of this machine."""
    with _gate(folder):
        free = [lock for number in range(MOST) if (lock := _lock(folder / str(number))) is not None]
        for lock in free:
            os.close(lock)
    return MOST - len(free)


def _locked(folder: Path, count: int, cap: int) -> list[int] | None:
    """The locks of `count` free slots, None where there are fewer."""
    if count > cap:
        return None
    held: list[int] = []
    with _gate(folder):
        for number in range(cap):
            if len(held) == count:
                break
            if (lock := _lock(folder / str(number))) is not None:
                held.append(lock)
        if len(held) == count:
            return held
        for lock in held:
            os.close(lock)
    return None


@contextlib.contextmanager
def _gate(folder: Path) -> Iterator[None]:
    """One process at a time counts slots; held for microseconds."""
    folder.mkdir(parents=True, exist_ok=True)
    gate = os.open(folder / "gate", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(gate, fcntl.LOCK_EX)
        yield
    finally:
        os.close(gate)


def _lock(path: Path) -> int | None:
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


async def learnt(folder: Path, opens: Callable[[int], Awaitable[bool]]) -> int:
    """The machine's cap: what a worker learnt whose sessions are open now, else what opening sessions shows."""
    if used(folder) and (known := _found(folder / "cap.json", int)) is not None:
        return known
    cap = await learn(opens)
    _keep(folder / "cap.json", cap)
    return cap


async def learn(opens: Callable[[int], Awaitable[bool]], most: int = MOST) -> int:
    """How many sessions the card gives: the highest count for which `opens` succeeds, by halving; 0 for none."""
    low, high = 0, most
    while low < high:
        middle = high if low == 0 and high == most else (low + high + 1) // 2
        if await opens(middle):
            low = middle
        else:
            high = middle - 1
    return low


def cap_now(folder: Path, cap: int, *, now: float | None = None) -> int:
    """The learnt cap, or the lowered one while that holds."""
    lowered = _found(folder / "lowered.json", Lowered)
    if lowered and (time.time() if now is None else now) - lowered.since < LOWERED_S:
        return min(cap, lowered.cap)
    return cap


def lower(folder: Path, cap: int, *, now: float | None = None) -> Lowered:
    """The card refused a session: for a while, give out one less than are in use."""
    before = _found(folder / "lowered.json", Lowered)
    made = Lowered(
        cap=max(0, min(cap, used(folder)) - 1),
        since=time.time() if now is None else now,
        times=before.times + 1 if before else 1,
    )
    _keep(folder / "lowered.json", made)
    return made


def raised(folder: Path) -> None:
    """A chunk was made on the card: refusals are no longer in a row."""
    with contextlib.suppress(FileNotFoundError):
        (folder / "lowered.json").unlink()


def _found(path: Path, kind: type[Kept]) -> Kept | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _keep(path: Path, value: object) -> None:
    partial = path.with_suffix(f".{os.getpid()}")
    partial.write_bytes(msgspec.json.encode(value))
    partial.rename(path)
