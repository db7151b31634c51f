"""Need: which piece of work is wanted most, who holds it, and until when; counted in Redis by one script.

`need:<plan>` sorted set chunk → score · `farm:open` sorted set plan → when it was queued (ms) · `farm:jobs` hash plan →
queue, seller, memory, media seconds a piece · `farm:work:<plan>` hash chunk → its ticket · `farm:leases` sorted set
work → end of lease (ms) · `farm:owners` hash work → owner and score · `farm:spent` hash seller → media seconds it got.

`<plan>` is the version, or the job before it has one; a piece of work is named `<plan> <chunk>`. All of it may be lost:
the rows of control and the markers in the bucket say what is open, and control offers it again.

Whoever is idle takes the piece of the highest class; within a class the seller that was served least is next
(start-time fair queueing, in media seconds), so one with five hundred titles does not starve another. An edge raises
what a viewer waits for. A lease that ended gives the piece back to the place it had.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from shared.jobs import QUEUES, Ticket

SCRIPT: Final = (Path(__file__).parent / "need.lua").read_text(encoding="utf-8")
OPEN, JOBS, LEASES, OWNERS, SPENT = KEYS = ("farm:open", "farm:jobs", "farm:leases", "farm:owners", "farm:spent")
#: Classes of need, highest first: a viewer waits for it; a title's first picture, its sound, its first and last step;
#: the rest; what nobody waits for.
WATCHED, FIRST, NORMAL, BULK = 3, 2, 1, 0
CLASS: Final = 10**13
#: Within a class, pieces of one plan go by their position, the first highest.
_POSITIONS: Final = 10**6
#: Seconds a worker is known after its last word, and a version after its job ended badly.
HEARD_S, OVER_S = 15, 3600
#: Seconds for which it is remembered that a worker is to rest, after its last word.
MARKED_S = 30 * 24 * 3600
#: What was said of a worker: to take nothing more, and to leave once it is idle.
Mark = Literal["", "cordon", "drain"]
#: Tries to find what a taken piece is, where plans are withdrawn in the same moment.
_TRIES: Final = 16


def score(need: int, position: int = 0) -> float:
    """How much the piece at `position` of its plan is wanted in a class of need."""
    return float(need * CLASS + _POSITIONS - position)


def of_plan(plan: str) -> str:
    """The key of a plan's pieces."""
    return f"need:{plan}"


def over(version: str) -> str:
    """The key whose existence says that a version will not be made."""
    return f"need:over:{version}"


def work_of(plan: str, chunk: str) -> str:
    """The name of a piece of work."""
    return f"{plan} {chunk}"


class Offer(msgspec.Struct, frozen=True):
    """Pieces of one plan that may be taken: what they are, and how much each is wanted (`score`).

    `media_s`: seconds of the title that one piece makes on average. `memory_bytes`: what a worker must have for it.
    `queued_ms`: since when the job waits.
    """

    plan: str
    queue: str
    seller: str
    memory_bytes: int
    media_s: float
    queued_ms: int
    work: dict[str, Ticket]
    scores: dict[str, float]


class Taken(msgspec.Struct, frozen=True):
    """A piece of work that is the taker's while its lease runs."""

    plan: str
    chunk: str
    ticket: Ticket

    @property
    def work(self) -> str:
        """Its name, for `renew` and `release`."""
        return work_of(self.plan, self.chunk)


class GpuState(msgspec.Struct, frozen=True):
    """A card as its worker saw it last; None: it has no such unit, or does not say."""

    index: int
    name: str
    memory_free_bytes: int
    encoder_percent: int | None = None
    decoder_percent: int | None = None
    celsius: int | None = None


class WorkerState(msgspec.Struct, frozen=True):
    """A worker as it told of itself. `running` are names of work; `speed` a multiple of real time.

    `since`: when this life of it began (s of the epoch). `memory_bytes`: what one piece of work may take; 0: not told.
    """

    name: str
    queues: tuple[str, ...]
    encoder: str
    build: str
    gpus: tuple[GpuState, ...] = ()
    running: tuple[str, ...] = ()
    speed: float = 0.0
    sessions: int = 0
    sessions_cap: int = 0
    since: float = 0.0
    cordoned: Mark = ""
    memory_bytes: int = 0


class Load(msgspec.Struct, frozen=True):
    """What waits and what is in work, by queue: media seconds, and pieces."""

    waiting_s: dict[str, float]
    running_s: dict[str, float]
    waiting: dict[str, int]
    running: dict[str, int]


class Needs:
    """The script on one Redis, with the length of leases. Raises redis.RedisError when it is away."""

    def __init__(self, redis: Redis, *, lease_s: float) -> None:
        self._redis, self._lease_ms = redis, int(lease_s * 1000)
        self._script: AsyncScript = redis.register_script(SCRIPT)

    async def offer(self, offer: Offer) -> int:
        """Let pieces be taken that are not; how many are new. Safe to repeat: a need that was raised stays raised."""
        line = f"{offer.queue} {offer.seller} {offer.memory_bytes} {offer.media_s:.3f}"
        pairs = [text for chunk, wanted in offer.scores.items() for text in (chunk, f"{wanted:.0f}")]
        await self._redis.delete(over(offer.plan))
        tickets: dict[Any, Any] = {chunk: msgspec.json.encode(ticket) for chunk, ticket in offer.work.items()}
        await self._redis.hset(f"farm:work:{offer.plan}", mapping=tickets)
        return int(await self._run("offer", offer.plan, line, offer.queued_ms, *pairs))

    async def take(
        self, owner: str, queues: Sequence[str], *, memory_bytes: int, without: Sequence[str] = ()
    ) -> Taken | None:
        """The piece that is wanted most, leased to `owner` (`<worker>/<anything>`); None where there is none for it, or
        the worker is cordoned. `without`: plans of which it wants none."""
        wanted = f",{','.join(queues)},", memory_bytes, self._lease_ms, f",{','.join(without)},"
        for _ in range(_TRIES):
            found = await self._run("take", owner, *wanted)
            if not found:
                return None
            plan, _, chunk = _text(found).partition(" ")
            ticket = await self._redis.hget(f"farm:work:{plan}", chunk)
            if ticket is not None:
                return Taken(plan, chunk, msgspec.json.decode(ticket, type=Ticket))
            await self.release(owner, work_of(plan, chunk), "done")
        return None

    async def renew(self, owner: str, work: str) -> bool:
        """Extend the lease; False where another has it by now. One that ended and nobody took is the owner's again."""
        return bool(await self._run("renew", owner, work, self._lease_ms))

    async def release(self, owner: str, work: str, how: Literal["done", "back"]) -> bool:
        """Let go of it: it is done, or may be taken again at once. False where it is another's."""
        return bool(await self._run("release", owner, work, how))

    async def reclaim(self) -> list[str]:
        """Give back all work whose lease ended; the names of it."""
        return [_text(work) for work in await self._run("reclaim")]

    async def withdraw(self, plan: str, *, is_over: bool = False) -> None:
        """Nothing of a plan is to be taken any more. `is_over`: and viewers need not wait for what is missing."""
        await self._run("withdraw", plan)
        if is_over:
            await self._redis.set(over(plan), 1, ex=OVER_S)

    async def held(self, works: Sequence[str]) -> dict[str, bool]:
        """Whether each piece of work is leased now, or waits to be taken."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.time()
        for work in works:
            plan, _, chunk = work.partition(" ")
            pipe.zscore(LEASES, work)
            pipe.zscore(of_plan(plan), chunk)
        (seconds, micros), *found = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        leases, waiting = found[::2], found[1::2]
        return {
            work: (lease is not None and lease > now) or waits is not None
            for work, lease, waits in zip(works, leases, waiting, strict=True)
        }

    async def leased(self, works: Sequence[str]) -> dict[str, bool]:
        """Whether somebody works at each piece now."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.time()
        for work in works:
            pipe.zscore(LEASES, work)
        (seconds, micros), *ends = await pipe.execute()
        now = seconds * 1000 + micros // 1000
        return {work: end is not None and end > now for work, end in zip(works, ends, strict=True)}

    async def owners(self) -> dict[str, str]:
        """All work that is leased, and its owner each (`<worker>/<anything>`)."""
        found = await self._redis.hgetall(OWNERS)
        return {_text(work): _text(owner).partition(" ")[0] for work, owner in found.items()}

    async def load(self) -> Load:
        """What waits and what is in work."""
        jobs = {_text(plan): _text(line).split() for plan, line in (await self._redis.hgetall(JOBS)).items()}
        leases: list[Any] = await self._redis.zrange(LEASES, 0, -1)
        pipe = self._redis.pipeline(transaction=False)
        for plan in jobs:
            pipe.zcard(of_plan(plan))
        counts = dict(zip(jobs, await pipe.execute(), strict=True)) if jobs else {}
        seconds, pieces = dict.fromkeys(QUEUES, 0.0), dict.fromkeys(QUEUES, 0)
        load = Load({**seconds}, {**seconds}, {**pieces}, {**pieces})
        for plan, (queue, _, _, media_s) in jobs.items():
            running = sum(_text(work).partition(" ")[0] == plan for work in leases)
            load.waiting_s[queue] += counts[plan] * float(media_s)
            load.running_s[queue] += running * float(media_s)
            load.waiting[queue] += counts[plan]
            load.running[queue] += running
        return load

    async def tell(self, state: WorkerState) -> None:
        """Say that this worker lives, and how it does."""
        pipe = self._redis.pipeline(transaction=False)
        pipe.set(_worker(state.name), msgspec.json.encode(state), ex=HEARD_S)
        pipe.expire(_cordon(state.name), MARKED_S)
        await pipe.execute()

    async def leave(self, state: WorkerState) -> None:
        """Forget a worker that told `state` last; the word to leave ends with it."""
        await self._run("forget", _worker(state.name), msgspec.json.encode(state).decode())
        await self._run("forget", _cordon(state.name), _drain(state.since))

    async def workers(self) -> list[WorkerState]:
        """The workers that were heard of lately, by name."""
        keys = sorted([key async for key in self._redis.scan_iter("farm:worker:*", count=1000)])
        if not keys:
            return []
        found = [msgspec.json.decode(text, type=WorkerState) for text in await self._redis.mget(keys) if text]
        marks = await self._redis.mget([_cordon(state.name) for state in found]) if found else []
        return [
            msgspec.structs.replace(state, cordoned=_mark(_text(mark or ""), since=state.since))
            for state, mark in zip(found, marks, strict=True)
        ]

    async def cordon(self, name: str, how: Mark) -> None:
        """Let a worker take nothing more; `drain`: and leave once it is idle; "": let it take work again.

        To rest is for good; to leave is for the life that told of itself last, not for one that follows it.
        """
        if not how:
            await self._redis.delete(_cordon(name))
            return
        text = await self._redis.get(_worker(name)) if how == "drain" else None
        since = msgspec.json.decode(text, type=WorkerState).since if text else 0.0
        await self._redis.set(_cordon(name), _drain(since) if how == "drain" else how, ex=MARKED_S)

    async def cordoned(self, name: str, *, since: float = 0.0) -> Mark:
        """What was said of the life of a worker that began at `since`; what was for an earlier one is forgotten."""
        text = _text(await self._redis.get(_cordon(name)) or "")
        mark = _mark(text, since=since)
        if text and not mark:
            await self._run("forget", _cordon(name), text)
        return mark

    async def _run(self, verb: str, *args: str | int) -> Any:
        return await self._script(keys=KEYS, args=(verb, *args))


async def raise_need(redis: Redis, version: str, chunk: str, *, now_ms: int) -> bool:
    """A viewer waits for a chunk: it is wanted before all others. True where the version will not be made."""
    pipe = redis.pipeline(transaction=False)
    pipe.exists(over(version))
    pipe.zadd(of_plan(version), {chunk: WATCHED * CLASS + now_ms}, xx=True, gt=True)
    is_over, _ = await pipe.execute()
    return bool(is_over)


def _worker(name: str) -> str:
    return f"farm:worker:{name}"


def _cordon(name: str) -> str:
    return f"farm:cordon:{name}"


def _drain(since: float) -> str:
    return f"drain {since!r}"


def _mark(text: str, *, since: float) -> Mark:
    return "cordon" if text == "cordon" else "drain" if text == _drain(since) else ""


def _text(found: str | bytes) -> str:
    return found.decode() if isinstance(found, bytes) else found
