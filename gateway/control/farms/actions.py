"""What operators do with the farm: look at it, and tell a worker to rest or to leave."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from redis.exceptions import RedisError

from gateway.control.auth import Principal, require
from gateway.control.farms.model import (
    PAGE,
    FarmRows,
    FarmView,
    GpuView,
    JobLine,
    JobLines,
    JobPieces,
    Marked,
    Order,
    Pieces,
    QueueView,
    Standing,
    Which,
    WorkerView,
    by_plan,
    piece_view,
    wished,
    work_view,
)
from gateway.control.outbox import Outbox
from shared.errors import NotFound, Unavailable
from shared.ids import is_id
from shared.jobs import QUEUES
from shared.need import Load, Needs, WorkerState, work_of

OPERATE = "farm:operate"
SILENT = "The farm's Redis does not answer: its workers cannot be seen. What they have in work goes on."


class Heard(msgspec.Struct, frozen=True):
    """What Redis knows of the farm: its workers, what waits and runs, and which worker is at which work."""

    states: list[WorkerState]
    load: Load
    at: dict[str, str]


async def hear(*, by: Principal, needs: Needs) -> Heard:
    """Ask Redis, apart from any transaction: it may take seconds to be away. Raises Forbidden, Unavailable."""
    require(by, OPERATE)
    return await _heard(needs)


async def status(heard: Heard, *, farms: FarmRows) -> FarmView:
    """Workers, what they are at, and what waits and runs."""
    states, load = heard.states, heard.load
    plans = sorted({work.partition(" ")[0] for work in heard.at})
    owners = by_plan(await farms.owners(plans)) if plans else {}
    workers = []
    for state in states:
        told = {name: getattr(state, name) for name in ("name", "queues", "encoder", "build", "speed")}
        workers.append(
            WorkerView(
                **told,
                state=_standing(state),
                since=_since(state),
                sessions=state.sessions,
                sessions_cap=state.sessions_cap,
                gpus=[
                    GpuView(**{name: getattr(gpu, name) for name in GpuView.__struct_fields__}) for gpu in state.gpus
                ],
                running=[work_view(work, owners) for work, name in sorted(heard.at.items()) if name == state.name],
            )
        )
    return FarmView(
        queues=[_queue(queue, states, load) for queue in QUEUES],
        workers=workers,
        speed=round(sum(state.speed for state in states), 3),
    )


async def jobs(which: Which, *, by: Principal, farms: FarmRows) -> JobLines:
    """Jobs of all sellers: open ones, the oldest first, or those that came to nothing, the newest first."""
    require(by, OPERATE)
    found = await (farms.open(PAGE + 1) if which == "open" else farms.over(PAGE + 1))
    return JobLines(found[:PAGE], more=len(found) > PAGE)


async def at_work(*, by: Principal, needs: Needs) -> dict[str, str] | None:
    """The worker at each piece of work; None where Redis is away. Raises Forbidden."""
    require(by, OPERATE)
    try:
        return await _holders(needs)
    except (RedisError, OSError):
        return None


async def show(id: str, at: dict[str, str] | None, *, by: Principal, farms: FarmRows, pieces: Pieces) -> JobPieces:
    """A job piece by piece, with who is at each as far as that is known. Raises Forbidden, NotFound."""
    require(by, OPERATE)
    line = await farms.line(id) if is_id(id, "job") else None
    if line is None:
        raise NotFound("There is no such job.")
    views = [
        piece_view(piece, _worker(at or {}, line, piece.chunk), has_plan=line.version is not None)
        for piece in sorted(await pieces.pieces([id]), key=wished)
    ]
    return JobPieces(job=line, pieces=views, is_live=at is not None)


async def mark(name: str, order: Order, *, by: Principal, place: str, needs: Needs, outbox: Outbox) -> Marked:
    """Say how a worker is to stand; it hears within seconds.

    Raises Forbidden, NotFound for a worker that is to rest and was not heard of lately, Unavailable.
    """
    require(by, OPERATE)
    heard = await _heard(needs)
    worker = next((state for state in heard.states if state.name == name), None)
    if order.state != "open" and worker is None:
        raise NotFound(f"No worker {name} was heard of lately.")
    await outbox.audit(by.id, OPERATE, name, after={"state": order.state}, place=place)
    try:
        await needs.cordon(name, "" if order.state == "open" else order.state)
    except (RedisError, OSError) as error:
        raise Unavailable(SILENT) from error
    return Marked(name=name, state=order.state, since=_since(worker) if worker else None)


async def _heard(needs: Needs) -> Heard:
    try:
        return Heard(await needs.workers(), await needs.load(), await _holders(needs))
    except (RedisError, OSError) as error:
        raise Unavailable(SILENT) from error


async def _holders(needs: Needs) -> dict[str, str]:
    """The worker at each piece of work, by the leases of this moment."""
    return {work: owner.partition("/")[0] for work, owner in (await needs.owners()).items()}


def _standing(state: WorkerState) -> Standing:
    return state.cordoned or "open"


def _since(state: WorkerState) -> datetime | None:
    return datetime.fromtimestamp(state.since, UTC) if state.since else None


def _queue(queue: str, states: list[WorkerState], load: Load) -> QueueView:
    return QueueView(
        queue=queue,
        workers=sum(queue in state.queues for state in states),
        waiting=load.waiting[queue],
        running=load.running[queue],
        waiting_media_s=round(load.waiting_s[queue], 3),
        running_media_s=round(load.running_s[queue], 3),
    )


def _worker(at: dict[str, str], line: JobLine, chunk: str) -> str:
    """Who is at a piece, whichever name its plan goes by."""
    return next((at[work] for plan in (line.version, line.id) if plan and (work := work_of(plan, chunk)) in at), "")
