"""`python -m farm` under test: a worker process, and what a control plane does with it by hand."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
from redis.asyncio import Redis

from gateway.control.worker.broker import Broker
from shared import jobs
from shared.events import FARM_STREAM
from shared.need import NORMAL, Needs, Offer, score
from shared.storage.files import FolderBucket
from tests.support.farm import JOB, MASTER, TITLE
from tests.support.ports import free_port

DEADLINE_S = 60


class Worker:
    """A running worker, and what a control plane does with it."""

    def __init__(self, folder: Path, redis: Redis, redis_url: str, *, broker_url: str) -> None:
        self.bucket, self.redis, self.port = FolderBucket(folder / "bucket"), redis, free_port()
        self.process: asyncio.subprocess.Process | None = None
        self._folder, self._url, self._broker_url = folder, redis_url, broker_url
        self._broker = Broker(broker_url)
        self.needs = Needs(redis, lease_s=2)

    async def start(self, **settings: str) -> asyncio.subprocess.Process:
        environ = {
            "PATH": os.environ["PATH"],
            "USHER_BUCKET": str(self._folder / "bucket"),
            "USHER_SCRATCH_DIR": str(self._folder / "scratch"),
            "USHER_REDIS_URL": self._url,
            "USHER_BROKER_URL": self._broker_url,
            "USHER_PRIVATE_PORT": str(self.port),
            "USHER_ENCODER": "x264",
            "USHER_LEASE_S": "2",
            **settings,
        }
        with (self._folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "farm", env=environ, stdout=log, stderr=log
            )
        return self.process

    async def offer(self, plan: str, work: dict[str, jobs.Ticket]) -> None:
        """Let pieces be taken, and send as many tickets."""
        scores = {chunk: score(NORMAL, position) for position, chunk in enumerate(work)}
        await self.needs.offer(Offer(plan, jobs.CPU_QUEUE, "seller", 0, 1.0, 0, work, scores))
        await self.hasten(len(work))

    async def chunks(self, version: str, *chunks: str) -> None:
        await self.offer(version, {chunk: jobs.ChunkTicket(JOB, TITLE, version, chunk) for chunk in chunks})

    async def hasten(self, tickets: int = 1) -> int:
        """Send what is missing of so many tickets that wait; how many that were."""
        return await self._broker.top_up({jobs.CPU_QUEUE: tickets})

    async def reclaimed(self, work: str) -> None:
        """Until the lease on a piece of work ended, and it may be taken again."""
        end = time.monotonic() + DEADLINE_S
        while work not in await self.needs.reclaim():
            assert time.monotonic() < end
            await asyncio.sleep(0.05)

    async def said(self, kind: type[Any]) -> list[jobs.Message]:
        """Messages of a kind until now."""
        entries = await self.redis.xrange(FARM_STREAM)
        found = [msgspec.json.decode(fields[b"e"], type=jobs.Message) for _, fields in entries]
        return [message for message in found if isinstance(message, kind)]

    async def wait_for(self, kind: type[jobs.Message], count: int = 1) -> list[jobs.Message]:
        """Messages of a kind, once there are so many."""
        until = time.monotonic() + DEADLINE_S
        while len(wanted := await self.said(kind)) < count:
            assert time.monotonic() < until, (await self.said(object), (self._folder / "log").read_text()[-3000:])
            await asyncio.sleep(0.05)
        return wanted

    async def planned(self, master: Path) -> jobs.Planned:
        await self.bucket.put_file(MASTER, master)
        await self.offer(JOB, {"probe": jobs.ProbeTicket(JOB, TITLE, "upl_1", MASTER, "")})
        (found,) = await self.wait_for(jobs.Planned)
        assert isinstance(found, jobs.Planned)
        return found

    def ask(self, path: str) -> str:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=60) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"


@contextlib.asynccontextmanager
async def worker(folder: Path, redis: Redis, redis_url: str, *, broker_url: str = "") -> AsyncIterator[Worker]:
    """A worker that is not started yet, and is killed at the end."""
    made = Worker(folder, redis, redis_url, broker_url=broker_url or redis_url)
    try:
        yield made
    finally:
        if made.process is not None and made.process.returncode is None:
            made.process.kill()
            await made.process.wait()


async def until(condition: Callable[[], object]) -> None:
    """Look until it is so."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end
        await asyncio.sleep(0.05)


def endless(folder: Path) -> str:
    """A fake ffmpeg that says who it is, makes progress, and never ends."""
    path = folder / "fake-ffmpeg"
    path.write_text(
        f'#!/bin/sh\n[ "$1" = -version ] && echo "ffmpeg version 9.9" && exit 0\n'
        f'case "$*" in *testsrc2*) exit 0;; esac\necho $$ >> {folder}/pids\nn=0\n'
        "while :; do n=$((n+1)); echo frame=$n; echo progress=continue; sleep 0.1; done\n"
    )
    path.chmod(0o755)
    return str(path)


def pids(folder: Path) -> list[int]:
    path = folder / "pids"
    return [int(line) for line in path.read_text().split()] if path.exists() else []
