"""The three tasks of the farm: probe, chunk, finalise. Each may come twice, anywhere, and gives the same result."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal

import msgspec
from redis.asyncio import Redis

from farm import chunks, early, prober, publish
from farm.engine import Engine
from farm.finalise import finalise as finalise_version
from farm.lease import leased, watch_cancel
from farm.making import Making
from farm.masters import Masters, sha256_of
from farm.plan import Order, Plan, Recipe
from farm.planning import plan
from farm.publish import JSON_TYPE
from farm.report import ProgressFeed, connect, send
from shared.errors import EncodeFailed, Final, MasterRejected, NotFound, Retryable, Stopped
from shared.jobs import (
    FINAL_CHUNK,
    PROBE_CHUNK,
    ChunkDone,
    ChunkTicket,
    Failed,
    FinaliseTicket,
    Finished,
    Planned,
    ProbeTicket,
    Ready,
    RenditionPlan,
    Started,
    Ticket,
)
from shared.log import get
from shared.settings import FarmSettings
from shared.storage import Bucket, names, open_bucket
from shared.tasks import end

#: How a task ended. `elsewhere`: another worker has it. `again`: stopped or something outside failed, nobody's fault.
Outcome = Literal["done", "elsewhere", "refused", "failed", "again", "cancelled"]


class Floor(msgspec.Struct, frozen=True):
    """What a task works with."""

    settings: FarmSettings
    engine: Engine
    bucket: Bucket
    redis: Redis
    masters: Masters


@contextlib.asynccontextmanager
async def floor(settings: FarmSettings, engine: Engine) -> AsyncIterator[Floor]:
    """Connections for one task."""
    bucket, redis = open_bucket(settings), connect(settings.events)
    masters = Masters(settings.scratch_dir.absolute() / "masters", settings.masters_quota_bytes)
    try:
        yield Floor(settings, engine, bucket, redis, masters)
    finally:
        await bucket.close()
        await redis.aclose()


async def perform(ticket: Ticket, on: Floor, stop: asyncio.Event) -> Outcome:
    """Do what the ticket says unless another does; every failure becomes an outcome and, where it counts, a message."""
    work, chunk = _work(ticket)
    cancelled = asyncio.Event()
    async with leased(on.redis, work, on.settings.lease_s) as ours:
        if not ours:
            return "elsewhere"
        watching = asyncio.create_task(_stop_when_cancelled(on.redis, ticket.job, stop=stop, cancelled=cancelled))
        try:
            await _do(ticket, on, stop)
            return "done"
        except Exception as error:
            return "cancelled" if cancelled.is_set() else await _failed(on, error, job=ticket.job, chunk=chunk)
        finally:
            await end(watching)


async def _stop_when_cancelled(redis: Redis, job: str, *, stop: asyncio.Event, cancelled: asyncio.Event) -> None:
    await watch_cancel(redis, job, cancelled)
    stop.set()


def _work(ticket: Ticket) -> tuple[str, str]:
    """The name of the lease, and the chunk that messages name."""
    if isinstance(ticket, ProbeTicket):
        return f"probe:{ticket.job}", PROBE_CHUNK
    if isinstance(ticket, ChunkTicket):
        return f"{ticket.version}:{ticket.chunk}", ticket.chunk
    return f"final:{ticket.version}", FINAL_CHUNK


async def _do(ticket: Ticket, on: Floor, stop: asyncio.Event) -> None:
    if isinstance(ticket, ProbeTicket):
        await _probe(ticket, on, stop)
    elif isinstance(ticket, ChunkTicket):
        await _chunk(ticket, on, stop)
    else:
        await _finalise(ticket, on)


async def _failed(on: Floor, error: Exception, *, job: str, chunk: str) -> Outcome:
    """Failures of the input are told and counted; those of something outside are not: the reaper sends again."""
    logger = get("farm").bind(job=job, chunk=chunk)
    if isinstance(error, Stopped) or (isinstance(error, Retryable) and not isinstance(error, EncodeFailed)):
        logger.warning("not done", why=str(error))
        return "again"
    if isinstance(error, Final):
        logger.info("refused", code=error.code, words=str(error))
        await send(on.redis, Failed(job, chunk, error.code, str(error), final=True))
        return "refused"
    if isinstance(error, EncodeFailed | NotFound):
        logger.warning("attempt failed", code=error.code, why=str(error), lines=error.details.get("lines"))
        await send(on.redis, Failed(job, chunk, error.code, f"Transcoding failed: {error}."))
        return "failed"
    logger.error("attempt broke", exc_info=error)
    await send(on.redis, Failed(job, chunk, "internal", "Something in the farm broke while it worked on this file."))
    return "failed"


@contextlib.asynccontextmanager
async def _master(on: Floor, key: str, sha256: str) -> AsyncIterator[Path]:
    try:
        async with on.masters.local(on.bucket, key, sha256) as path:
            yield path
    except NotFound as error:
        raise MasterRejected("The uploaded file is no longer there; upload it again.", code="gone") from error


async def _probe(ticket: ProbeTicket, on: Floor, stop: asyncio.Event) -> None:
    sound_only = ticket.kind == "audio"
    async with _master(on, ticket.master, ticket.sha256) as path:
        # Told before: a master that takes the worker down with it would else be sent again for ever.
        await send(on.redis, Started(ticket.job, PROBE_CHUNK, secrets.token_hex(8)))
        info = await prober.look(path, on.settings.scratch_dir, sound_only=sound_only, stop=stop)
        sha256 = ticket.sha256 or await asyncio.to_thread(sha256_of, path)
    made = plan(info, Recipe(ticket.title, sha256, on.engine.encoder.name, on.engine.build, sound_only))
    version = made.version
    order = msgspec.json.encode(Order(made, ticket.master))
    await on.bucket.put(names.plan(version), order, content_type=JSON_TYPE)
    edition, ceilings = await early.publish(on.bucket, made, job=ticket.job)
    told = _planned(ticket.job, made, on.engine)
    await send(on.redis, msgspec.structs.replace(told, edition=edition, ceilings=ceilings))
    if (done := await publish.ready(on.bucket, ticket.title, version)) is not None:
        await send(on.redis, _ready(ticket.job, done))


def _planned(job: str, made: Plan, engine: Engine) -> Planned:
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
        queue=engine.encoder.queue,
    )


def _ready(job: str, done: Finished) -> Ready:
    return Ready(job=job, **msgspec.structs.asdict(done))


async def _chunk(ticket: ChunkTicket, on: Floor, stop: asyncio.Event) -> None:
    won = await publish.marker(on.bucket, ticket.version, ticket.chunk)
    if won is None:
        won = await _made(ticket, on, stop)
    if await publish.ready(on.bucket, ticket.title, ticket.version) is None:
        await publish.copy_winner(on.bucket, won, title=ticket.title, version=ticket.version)
    await send(on.redis, ChunkDone(ticket.job, ticket.chunk))


async def _made(ticket: ChunkTicket, on: Floor, stop: asyncio.Event) -> publish.Marker:
    order = await publish.order(on.bucket, ticket.version)
    attempt = secrets.token_hex(8)
    await send(on.redis, Started(ticket.job, ticket.chunk, attempt))
    feed = ProgressFeed(on.redis, ticket.job, ticket.chunk, chunks.names_of(order.plan, ticket.chunk))
    writing = publish.Attempt(on.bucket, ticket.version, ticket.chunk, attempt)
    async with _master(on, order.master, order.plan.master_sha256) as master:
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
    await send(on.redis, message)
    order = await publish.order(on.bucket, ticket.version)
    await publish.remove_attempts(on.bucket, ticket.version, order.plan.chunks)
    on.masters.drop(order.master)
