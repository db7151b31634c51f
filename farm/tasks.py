"""The work of the farm: probe, chunk, finalise. Each may come twice, anywhere, and gives the same result."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from farm import chunks, early, parts, pertitle, prober, publish
from farm.encoders import encoder
from farm.encoders.failures import why_replan
from farm.encoders.x264 import X264
from farm.engine import Engine
from farm.finalise import finalise as finalise_version
from farm.fitting import LEFT, others_fit, others_work
from farm.lease import Lease, watch_cancel
from farm.making import Making
from farm.masters import CHECKSUM, Masters, sha256_of
from farm.plan import Order, Plan, Recipe
from farm.planning import plan
from farm.publish import JSON_TYPE
from farm.report import SPEEDS, ProgressFeed, connect, send
from farm.stopping import unless
from shared.errors import CardBusy, EncodeFailed, Final, MasterRejected, NotFound, Retryable, Stopped, StoreUnavailable
from shared.jobs import (
    CPU_QUEUE,
    FINAL_CHUNK,
    PROBE_CHUNK,
    SOUND_CHUNK,
    STORYBOARD_CHUNK,
    ChunkDone,
    ChunkTicket,
    Failed,
    FinaliseTicket,
    Finished,
    GivenBack,
    Message,
    PieceFacts,
    Planned,
    ProbeTicket,
    Ready,
    RenditionPlan,
    Replan,
    Started,
    Ticket,
)
from shared.log import get
from shared.need import BULK, FIRST, NORMAL, Needs, score
from shared.settings import FarmSettings
from shared.storage import Bucket, names, open_bucket
from shared.tasks import end

#: How a task ended. `idle`: nothing is there to be taken. `elsewhere`: another worker has it. `again`: stopped, another
#: may go on at once. `later`: something outside failed, nobody's fault; control offers it again in some seconds.
Outcome = Literal["done", "idle", "elsewhere", "refused", "failed", "again", "later", "cancelled"]
#: Seconds a worker that found nothing waits before it looks at the next ticket: one that is cordoned, or has too little
#: memory for what is wanted, would else use up the tickets of the others.
IDLE_S = 0.1

#: How often what a job waits for is sent where Redis does not answer, and seconds between.
TRIES, AGAIN_S = 3, 0.5


class Floor(msgspec.Struct, frozen=True):
    """What a task works with. `memory_bytes`: what one piece of work may take."""

    settings: FarmSettings
    engine: Engine
    bucket: Bucket
    redis: Redis
    needs: Needs
    masters: Masters
    memory_bytes: int = 1 << 62


@contextlib.asynccontextmanager
async def floor(settings: FarmSettings, engine: Engine) -> AsyncIterator[Floor]:
    """Connections for one task."""
    bucket, redis = open_bucket(settings), connect(settings.events)
    masters = Masters(settings.scratch_dir.absolute() / "masters", settings.masters_quota_bytes)
    needs = Needs(redis, lease_s=settings.lease_s)
    try:
        yield Floor(settings, engine, bucket, redis, needs, masters, memory_bytes(settings))
    finally:
        await bucket.close()
        await redis.aclose()


async def next_work(on: Floor, name: str, stop: asyncio.Event) -> Outcome:
    """Take the most wanted piece for the worker `name`, and do it."""
    owner = f"{name}/{secrets.token_hex(8)}"
    try:
        left = LEFT.plans()
        taken = await on.needs.take(owner, queues(on.engine), memory_bytes=on.memory_bytes, without=left)
    except (RedisError, OSError) as error:
        get("farm").warning("no work asked for", why=str(error))
        return "later"
    if taken is None:
        await asyncio.sleep(IDLE_S)
        return "idle"
    return await perform(taken.ticket, on, stop, lease=Lease(on.needs, owner, taken, lease_s=on.settings.lease_s))


async def perform(ticket: Ticket, on: Floor, stop: asyncio.Event, *, lease: Lease | None = None) -> Outcome:
    """Do what the ticket says; every failure becomes an outcome and, where it counts, a message."""
    cancelled, message = asyncio.Event(), None
    watching = [asyncio.create_task(watch_cancel(on.redis, ticket.job, cancelled=cancelled, stop=stop))]
    if lease is not None:
        watching.append(asyncio.create_task(lease.keep(stop)))
    outcome: Outcome = "done"
    try:
        await _do(ticket, on, stop)
    except Exception as error:
        outcome = "cancelled"
        if not cancelled.is_set():
            outcome, message = await _weighed(ticket, error, on, own=lease.worker if lease else "")
    finally:
        SPEEDS.tell(0.0)
        await end(*watching)
    if lease is not None and outcome != "done" and not await lease.look():
        return "elsewhere"  # whatever went wrong here, another is at it
    return await _told(on, lease, outcome=outcome, message=message)


async def _told(on: Floor, lease: Lease | None, *, outcome: Outcome, message: Message | None) -> Outcome:
    """Let go of the work, and send what is to be told of it.

    What counts is told after, since control offers the piece again at once; what does not, before another begins.
    """
    if isinstance(message, GivenBack):
        await send(on.redis, message)
    if lease is not None:
        await lease.release("back" if outcome == "again" else "done")
    if message is not None and not isinstance(message, GivenBack):
        await send(on.redis, message)
    return outcome


def queues(engine: Engine) -> tuple[str, ...]:
    """The queues whose work this machine can do."""
    return tuple(dict.fromkeys((engine.encoder.queue, CPU_QUEUE)))


def memory_bytes(settings: FarmSettings) -> int:
    """What one piece of work may take: the setting, or this machine's memory shared among those at once."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # a container may have less; "max" is no number
        whole = min(whole, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return settings.memory_bytes or whole // settings.concurrency


async def _do(ticket: Ticket, on: Floor, stop: asyncio.Event) -> None:
    if isinstance(ticket, ProbeTicket):
        await _probe(ticket, on, stop)
    elif isinstance(ticket, ChunkTicket):
        await _chunk(ticket, on, stop)
    else:
        await unless(stop, _finalise(ticket, on))


def _named(ticket: Ticket) -> tuple[str, str]:
    """The chunk and the version that messages name."""
    if isinstance(ticket, ProbeTicket):
        return PROBE_CHUNK, ""
    return ticket.chunk if isinstance(ticket, ChunkTicket) else FINAL_CHUNK, ticket.version


async def _weighed(ticket: Ticket, error: Exception, on: Floor, *, own: str) -> tuple[Outcome, Message]:
    """As judged, but what a card of another worker makes is left to it; so is what fails by this machine's fault."""
    chunk, version = _named(ticket)
    if not await others_fit(error, on.needs, own=own):
        outcome, message = _judged(ticket, error)
        if isinstance(message, Failed) and await others_work(message, on.needs, own=own):
            LEFT.leave(version or ticket.job)
        return outcome, message
    LEFT.leave(version)
    get("farm").info("left to another card", job=ticket.job, chunk=chunk, why=str(error))
    return "again", GivenBack(ticket.job, chunk, version)


def _judged(ticket: Ticket, error: Exception) -> tuple[Outcome, Message]:
    """Failures of the input count to three, workers that are lost to twenty; what is nobody's fault does not count."""
    chunk, version = _named(ticket)
    logger = get("farm").bind(job=ticket.job, chunk=chunk)
    if isinstance(error, EncodeFailed) and (why := why_replan(error)) is not None:
        logger.warning("to be planned anew", why=why)
        return "failed", Replan(ticket.job, version, X264.name, why)
    if isinstance(error, Retryable) and not isinstance(error, EncodeFailed):
        logger.warning("not done", why=str(error))
        outcome: Outcome = "again" if isinstance(error, Stopped | CardBusy) else "later"
        return outcome, GivenBack(ticket.job, chunk, version)
    if isinstance(error, Final):
        logger.info("refused", code=error.code, words=str(error))
        return "refused", Failed(ticket.job, chunk, error.code, str(error), final=True, version=version)
    if isinstance(error, EncodeFailed | NotFound):
        lost = bool(error.details.get("lost"))
        logger.warning("attempt failed", code=error.code, why=str(error), lost=lost, lines=error.details.get("lines"))
        words = f"Transcoding failed: {error}."
        return "failed", Failed(ticket.job, chunk, error.code, words, lost=lost, version=version)
    logger.error("attempt broke", exc_info=error)
    words = "Something in the farm broke while it worked on this file."
    lost = isinstance(error, OSError | MemoryError) and not isinstance(error, FileNotFoundError)  # the machine's own
    return "failed", Failed(ticket.job, chunk, "internal", words, lost=lost, version=version)


@contextlib.asynccontextmanager
async def _master(on: Floor, key: str, sha256: str, *, stop: asyncio.Event) -> AsyncIterator[Path]:
    async with contextlib.AsyncExitStack() as stack:
        try:
            path = await stack.enter_async_context(on.masters.local(on.bucket, key, sha256, stop=stop))
        except NotFound as error:
            raise MasterRejected("The uploaded file is no longer there; upload it again.", code="gone") from error
        except StoreUnavailable as error:
            if error.code != CHECKSUM:
                raise
            raise EncodeFailed(str(error), code=CHECKSUM) from error
        yield path


@contextlib.asynccontextmanager
async def _needed(on: Floor, order: Order, chunk: str, *, stop: asyncio.Event) -> AsyncIterator[Path]:
    """The master, or as much of a large one as a chunk reads."""
    async with contextlib.AsyncExitStack() as stack:
        path = None
        if not on.masters.has(order.master):
            part = parts.part(on.bucket, order, chunk, settings=on.settings, stop=stop)
            path = await stack.enter_async_context(part)
        if path is None:
            whole = _master(on, order.master, order.plan.master_sha256, stop=stop)
            path = await stack.enter_async_context(whole)
        yield path


async def _probe(ticket: ProbeTicket, on: Floor, stop: asyncio.Event) -> None:
    sound_only = ticket.kind == "audio"
    # Told before: a master that takes the worker down with it would else be sent again for ever.
    await send(on.redis, Started(ticket.job, PROBE_CHUNK, secrets.token_hex(8)))
    async with _master(on, ticket.master, ticket.sha256, stop=stop) as path:
        info = await prober.look(path, on.settings.scratch_dir, sound_only=sound_only, stop=stop)
        sha256 = ticket.sha256 or await asyncio.to_thread(sha256_of, path)
        chosen = ticket.encoder or on.engine.encoder.name
        recipe = Recipe(ticket.title, sha256, chosen, on.engine.build, sound_only, mode=ticket.mode)
        recipe = msgspec.structs.replace(recipe, loudness=ticket.loudness)
        made = plan(info, recipe)
        if ticket.mode == "per-title":
            made = plan(info, recipe, await _crfs(made, path, on, stop=stop))
    version = made.version
    order = msgspec.json.encode(Order(made, ticket.master))
    await on.bucket.put(names.plan(version), order, content_type=JSON_TYPE)
    edition, ceilings = await early.publish(on.bucket, made, job=ticket.job)
    told = _planned(ticket.job, made)
    await _surely(on.redis, msgspec.structs.replace(told, edition=edition, ceilings=ceilings))
    if (done := await publish.ready(on.bucket, ticket.title, version)) is not None:
        await _surely(on.redis, _ready(ticket.job, done))


async def _crfs(fixed: Plan, path: Path, on: Floor, *, stop: asyncio.Event) -> dict[str, int]:
    """What trials of a plan find; kept, so that the same master is not tried again."""
    key = names.trials(fixed.version)
    try:
        return msgspec.json.decode(await on.bucket.get(key), type=dict[str, int])
    except NotFound:
        found = await pertitle.crfs(fixed, path, pertitle.Trials(on.engine.ffmpeg, on.settings, stop))
    if found:
        await on.bucket.put(key, msgspec.json.encode(found), content_type=JSON_TYPE)
    return found


async def _surely(redis: Redis, message: Planned | ChunkDone | Ready) -> None:
    """Send what a job waits for, again where Redis was slow or just starts: such a message may come twice.

    One that is lost all the same costs a look of control's reaper; a lost plan, another probe too.
    """
    for _ in range(TRIES):
        if await send(redis, message):
            return
        await asyncio.sleep(AGAIN_S)


def _planned(job: str, made: Plan) -> Planned:
    pictures = made.video.renditions if made.video else ()
    return Planned(
        job=job,
        version=made.version,
        duration_s=made.duration_s,
        width=pictures[0].width if pictures else 0,
        height=pictures[0].height if pictures else 0,
        frames=made.video.frames if made.video else 0,
        renditions=(
            *(RenditionPlan(rendition.name, rendition.width, rendition.height) for rendition in pictures),
            RenditionPlan(made.sound.name),
        ),
        chunks=made.chunks,
        queue=encoder(made.encoder).queue,
        pieces=tuple(_facts(made, chunk, position) for position, chunk in enumerate(made.chunks)),
        encoder=made.encoder,
        memory_bytes=made.memory_bytes,
        has_storyboard=made.storyboard is not None,
    )


def _facts(made: Plan, chunk: str, position: int) -> PieceFacts:
    """How much of the title a chunk makes, and how much it is wanted. Sound costs about a tenth of the picture."""
    piece = next((piece for piece in made.pieces if piece.name == chunk), None)
    if piece is not None:
        first = piece is made.pieces[0]
        return PieceFacts(
            chunk, float(piece.frames / made.picture.grid.rate), score(FIRST if first else NORMAL, position)
        )
    if chunk == SOUND_CHUNK:
        return PieceFacts(chunk, made.duration_s / 10, score(FIRST, position))
    return PieceFacts(chunk, 1.0, score(BULK if chunk == STORYBOARD_CHUNK else NORMAL, position))


def _ready(job: str, done: Finished) -> Ready:
    return Ready(job=job, **msgspec.structs.asdict(done))


async def _chunk(ticket: ChunkTicket, on: Floor, stop: asyncio.Event) -> None:
    won = await publish.marker(on.bucket, ticket.version, ticket.chunk)
    if won is None:
        won = await _made(ticket, on, stop)
    if await publish.ready(on.bucket, ticket.title, ticket.version) is None:
        await _shown(ticket, won, on, stop=stop)
    await _surely(on.redis, ChunkDone(ticket.job, ticket.chunk, ticket.version))


async def _shown(ticket: ChunkTicket, won: publish.Marker, on: Floor, *, stop: asyncio.Event) -> None:
    """Copy what was made to where viewers find it. Raises Stopped where the bucket fails: somebody is to try again.

    By its marker control takes the piece for done, and would not offer it any more.
    """
    try:
        await unless(stop, publish.copy_winner(on.bucket, won, title=ticket.title, version=ticket.version))
    except StoreUnavailable as error:
        await unless(stop, asyncio.sleep(AGAIN_S))
        raise Stopped(f"what was made is not shown yet: {error}") from error


async def _made(ticket: ChunkTicket, on: Floor, stop: asyncio.Event) -> publish.Marker:
    order = await publish.order(on.bucket, ticket.version)
    attempt = secrets.token_hex(8)
    await send(on.redis, Started(ticket.job, ticket.chunk, attempt, ticket.version))
    feed = ProgressFeed(on.redis, ticket, chunks.names_of(order.plan, ticket.chunk))
    writing = publish.Attempt(on.bucket, ticket.version, ticket.chunk, attempt, stop=stop)
    async with _needed(on, order, ticket.chunk, stop=stop) as master:
        making = Making(order.plan, ticket.chunk, master, on.engine, on.settings, feed, stop)
        won = await chunks.make(making, writing)
    feed.update(dict.fromkeys(chunks.names_of(order.plan, ticket.chunk), 1.0), 0.0)
    await feed.flush()
    return won


async def _finalise(ticket: FinaliseTicket, on: Floor) -> None:
    done = await finalise_version(on.bucket, ticket.title, ticket.version, words=ticket.subtitles)
    message = _ready(ticket.job, done)
    kept = names.ready_message(ticket.version, ticket.job)
    await on.bucket.put(kept, msgspec.json.encode(message), content_type=JSON_TYPE)
    await _surely(on.redis, message)
    order = await publish.order(on.bucket, ticket.version)
    await publish.remove_attempts(on.bucket, ticket.version, order.plan.chunks)
    on.masters.drop(order.master)
