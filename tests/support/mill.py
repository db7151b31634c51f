"""A whole farm under test: control's worker in this process, real farm workers, a Valkey that may be killed."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import msgspec
from redis.exceptions import RedisError

from farm.masters import sha256_of
from gateway.control.worker import process
from shared.clock import SystemClock
from shared.storage import names
from tests.support import media
from tests.support.control import Control, control_settings, running_control
from tests.support.ports import free_base, free_port
from tests.support.titles import Desk, desk
from tests.support.valkey import Valkey, valkey

#: What may be killed.
VICTIMS = ("worker", "child", "ffmpeg", "valkey")
DONE_WITHIN_S = 600.0
JOBS = "select id, state, version, title, last_error from job order by queued_at"
ENCODING = "select id, version from job where state = 'encoding' and version = any($1)"
COMPLETED = "select data->>'job' as job from outbox where type = 'transcode.completed'"
PLAYABLE = "select data->>'job' as job from outbox where type = 'transcode.playable'"
COUNTS = "select sum(failures)::int as failures, sum(lost)::int as lost from job_chunk"


class Kill(msgspec.Struct, frozen=True):
    """One kill, and the seconds until all that was in work then was in work again, done, or next in line."""

    victim: str
    resumed_s: float


class Mill:
    """Workers that are started again when they die, as a supervisor does."""

    def __init__(self, control: Control, server: Valkey, folder: Path, *, lease_s: int) -> None:
        self.control, self._server, self._folder, self._lease_s = control, server, folder, lease_s
        self._mains: dict[str, asyncio.subprocess.Process] = {}
        self._random = random.Random(7)
        self._desks: dict[str, Desk] = {}

    async def submit(self, master: Path, *, seller: str = "studio") -> str:
        """Upload a master; its job."""
        person = await desk(self.control, seller)
        job = await person.queue((await person.title())["id"], sha256=sha256_of(master))
        await self.control.wiring["bucket"].put_file(job.master, master)
        self._desks[job.id] = person
        return job.id

    async def keep(self, name: str) -> None:
        """A worker, for ever."""
        while True:
            self._mains[name] = await self._start(name)
            await self._mains[name].wait()

    async def kill(self, victim: str) -> Kill | None:
        """Kill one of a kind at its work; None where none is at work. Returns when all of that goes on."""
        if not (held := await self._held()):
            return None
        if victim != "valkey":
            busy = {owner.partition("/")[0] for owner in held.values()} & self._mains.keys()
            if not busy or not (pids := self._pids(victim, name := self._random.choice(sorted(busy)))):
                return None
            held = {work: owner for work, owner in held.items() if owner.startswith(f"{name}/")}
        began = time.monotonic()
        if victim == "valkey":
            self._server.kill()
            await asyncio.sleep(0.3)
            self._server.start()
        else:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pids[0], signal.SIGKILL)
        while not await self._goes_on(held, anew=victim != "valkey"):
            if time.monotonic() - began > DONE_WITHIN_S:
                raise AssertionError(f"nobody took up {held} after {victim} was killed: {self.log()}")
            await asyncio.sleep(0.05)
        return Kill(victim, time.monotonic() - began)

    async def cancel(self) -> float | None:
        """Have its seller cancel a job at work; the seconds until no worker holds any of it. None where none is."""
        plans = {work.partition(" ")[0] for work in await self._held()}
        rows = await self.control.rows(ENCODING, sorted(plans))
        if not rows:
            return None
        job, version, began = rows[0]["id"], rows[0]["version"], time.monotonic()
        await self._desks[job].ask("POST", f"jobs/{job}/cancel")
        while any(work.startswith(f"{version} ") for work in await self._held()):
            if time.monotonic() - began > DONE_WITHIN_S:
                raise AssertionError(f"{job} is still made: {self.log()}")
            await asyncio.sleep(0.02)
        return time.monotonic() - began

    async def kills(self, count: int) -> list[Kill]:
        """Kill one of each kind, then any, until that many were killed or all titles are made."""
        draw, done, victims = random.Random(4), list[Kill](), list(VICTIMS)
        while len(done) < count:
            if (kill := await self.kill(victims[0])) is not None:
                done.append(kill)
                victims = [*victims[1:], draw.choice(VICTIMS)]
            elif all(row["state"] == "done" for row in await self.control.rows(JOBS)):
                break
        return done

    async def over(self) -> list[dict[str, Any]]:
        """The jobs, once none is open."""
        until = time.monotonic() + DONE_WITHIN_S
        while True:
            rows = await self.control.rows(JOBS)
            if all(row["state"] in ("done", "failed", "cancelled") for row in rows):
                return rows
            if time.monotonic() > until:
                raise AssertionError(f"{rows}: {self.log()}")
            await asyncio.sleep(0.2)

    def encodes(self) -> int:
        """How often a piece of the picture was begun."""
        path = self._folder / "encodes"
        return sum("libx264" in line for line in path.read_text().splitlines()) if path.exists() else 0

    def log(self) -> str:
        """What the workers said last."""
        return (self._folder / "farm.log").read_text()[-4000:]

    async def _start(self, name: str) -> asyncio.subprocess.Process:
        settings = self.control.settings
        environ = {
            "PATH": os.environ["PATH"],
            "USHER_BUCKET": settings.bucket,
            "USHER_SCRATCH_DIR": str(self._folder / name),
            "USHER_REDIS_URL": settings.redis_url,
            "USHER_PRIVATE_PORT": str(free_port()),
            "USHER_ENCODER": "x264",
            "USHER_THREADS": "1",
            "USHER_LEASE_S": str(self._lease_s),
            "USHER_WORKER_NAME": name,
            "USHER_FFMPEG": str(self._folder / "slow-ffmpeg"),
        }
        with (self._folder / "farm.log").open("ab") as log:
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "farm", env=environ, stdout=log, stderr=log, start_new_session=True
            )

    def _pids(self, victim: str, name: str) -> list[int]:
        main = self._mains[name].pid
        children = _children(main)
        found = {"worker": [main], "child": children, "ffmpeg": [pid for child in children for pid in _children(child)]}
        return found[victim]

    async def _held(self) -> dict[str, str]:
        try:
            return await self.control.wiring["needs"].owners()
        except (RedisError, OSError):
            return {}

    async def _goes_on(self, held: dict[str, str], *, anew: bool) -> bool:
        """Whether each piece is at work again, by another attempt where `anew`, or done, or waits for its turn while
        every worker is at another piece."""
        now = await self._held()
        busy = {owner.partition("/")[0] for owner in now.values()}
        for work, owner in held.items():
            if work in now and not (anew and now[work] == owner):
                continue
            plan, _, chunk = work.partition(" ")
            waits = work not in now and busy >= self._mains.keys() and await self._waits(plan, chunk)
            if not waits and not await self._is_done(plan, chunk):
                return False
        return True

    async def _waits(self, plan: str, chunk: str) -> bool:
        with contextlib.suppress(RedisError, OSError):
            return await self.control.wiring["events"].zscore(f"need:{plan}", chunk) is not None
        return False

    async def _is_done(self, plan: str, chunk: str) -> bool:
        if await self.control.wiring["bucket"].head(names.done(plan, chunk)) is not None:
            return True
        rows = await self.control.rows("select state from job where id = $1 or version = $1", plan)
        return all(row["state"] != "queued" if chunk == "probe" else row["state"] == "done" for row in rows)


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def slow_ffmpeg(folder: Path, *, seconds: float) -> None:
    """An ffmpeg that waits before it works, so that pieces of work last a while however small they are."""
    path = folder / "slow-ffmpeg"
    path.write_text(
        f'#!/bin/sh\ncase "$*" in *-version*|*lavfi*) exec {media.WHEEL} "$@";; esac\n'
        f'echo "$*" >> {folder}/encodes\nsleep {seconds}\nexec {media.WHEEL} "$@"\n'
    )
    path.chmod(0o755)


@contextlib.asynccontextmanager
async def mill(folder: Path, database_url: str, *, lease_s: int = 2) -> AsyncIterator[Mill]:
    """A farm that stands; `running` sets it to work."""
    slow_ffmpeg(folder, seconds=1.0)
    with valkey(free_base(1)) as server:
        settings = control_settings(folder, database_url=database_url, redis_url=server.url, lease_s=lease_s)
        async with running_control(settings, cast(Any, SystemClock())) as control:
            yield Mill(control, server, folder, lease_s=lease_s)


@contextlib.asynccontextmanager
async def running(standing: Mill, *, workers: int = 2) -> AsyncIterator[None]:
    """Control's worker and so many farm workers at work."""
    tasks = [asyncio.create_task(process.run(standing.control.wiring))]
    tasks += [asyncio.create_task(standing.keep(f"mill-{number}")) for number in range(workers)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for main in standing._mains.values():
            with contextlib.suppress(ProcessLookupError):
                main.kill()
            await main.wait()
        await asyncio.wait(tasks, timeout=5)
