"""T11: cards that are listed but unusable, full, or dying. No job may fail, and a version is of one encoder class."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import stage as stages
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm import engine, tasks
from farm.encoders import NVENC
from farm.engine import Engine
from farm.tasks import Floor
from shared import jobs
from shared.events import FARM_STREAM
from shared.settings import FarmSettings
from shared.storage import names
from tests.support.fake_ffmpeg import MARK, fake_ffmpeg

#: Ways in which NVENC is there and cannot be used.
UNUSABLE = ("no-libcuda", "no-unit", "out-of-memory", "crash", "hang", "garbage", "broken")
#: Sessions of the full card; each of as many titles at once needs one a rendition.
CAP, TITLES = 4, 6
#: What x264, which plays the card's part too, writes into the first picture of each piece.
ENCODED = b"x264 - core"
TRIES = 3


class Shop(msgspec.Struct):
    """What a farm with a card makes of titles: tickets that are open, failures by piece, and jobs that are over."""

    on: Floor
    master: str
    open: list[jobs.Ticket] = []
    failures: Counter[tuple[str, str]] = msgspec.field(default_factory=Counter)
    replanned: Counter[str] = msgspec.field(default_factory=Counter)
    versions: dict[str, list[str]] = {}
    left: dict[str, set[str]] = {}
    whole: set[str] = set()
    heard: int = 0
    by_card: int = 0
    by_cpu: int = 0
    classes: int = 0

    def submit(self, job: str, *, encoder: str = "") -> None:
        """Offer a title of that job, for the class that the machine has or a given one."""
        self.open.append(jobs.ProbeTicket(job, f"ttl_{job}", "upl", self.master, "", encoder=encoder))

    async def work(self) -> None:
        """Do all that is open, everything at once, and what comes of it, until nothing is left."""
        while self.open:
            tickets, self.open = self.open, []
            outcomes = await asyncio.gather(*(tasks.perform(one, self.on, asyncio.Event()) for one in tickets))
            self.open += [one for one, outcome in zip(tickets, outcomes, strict=True) if outcome == "again"]
            entries: list[Any] = await self.on.redis.xrange(FARM_STREAM) or []
            for _, fields in entries[self.heard :]:
                self._take(msgspec.json.decode(fields[b"e"], type=jobs.Message))
            self.heard = len(entries)

    def _take(self, message: jobs.Message) -> None:
        """What control does."""
        job, title = message.job, f"ttl_{message.job}"
        if isinstance(message, jobs.Planned):
            self.versions.setdefault(job, []).append(message.version)
            self.left[job] = set(message.chunks)
            self.open += [jobs.ChunkTicket(job, title, message.version, chunk) for chunk in message.chunks]
        elif isinstance(message, jobs.ChunkDone) and message.version == self.versions[job][-1]:
            self.left[job].discard(message.chunk)
            if not self.left[job]:
                self.open.append(jobs.FinaliseTicket(job, title, message.version))
        elif isinstance(message, jobs.Failed) and message.version == self.versions[job][-1]:
            self.failures[job, message.chunk] += 1
            if self.failures[job, message.chunk] == TRIES:
                self._again(job)
            elif self.failures[job, message.chunk] < TRIES:
                self.open.append(jobs.ChunkTicket(job, title, message.version, message.chunk))
        elif isinstance(message, jobs.Replan):
            self._again(job)
        elif isinstance(message, jobs.Ready):
            self.whole.add(job)

    def _again(self, job: str) -> None:
        """Plan for the CPU, once; whoever fails there has failed."""
        self.replanned[job] += 1
        if self.replanned[job] == 1:
            self.open = [one for one in self.open if one.job != job]
            self.submit(job, encoder="x264")

    async def look(self) -> None:
        """Count the pieces of pictures made by the card and by the CPU, and the most classes that any version shows."""
        for job, versions in self.versions.items():
            for version in versions:
                segments = [
                    await self.on.bucket.get(info.key)
                    async for info in self.on.bucket.list_prefix(names.version_prefix(f"ttl_{job}", version))
                    if info.key.endswith(".m4s")
                ]
                made = [MARK in segment for segment in segments if ENCODED in segment]
                self.by_card += sum(made)
                self.by_cpu += len(made) - sum(made)
                self.classes = max(self.classes, len(set(made)))


async def rows(stage: Stage) -> list[Row]:
    """How long the start takes to decide, and what becomes of jobs on a card that is full or dies."""
    decided = [await _decision(stage, how) for how in UNUSABLE]
    master = await stage.film(Film(size="640x360", seconds=10, sound=False, gop_s=1.48))
    full = await _shop(stage, master, "out-of-memory", titles=2 if stage.quick else TITLES)
    longer = await stage.film(Film(size="640x360", seconds=60, sound=False, gop_s=1.48))
    dead = await _shop(stage, longer, "dies-later", titles=1 if stage.quick else 3)
    if not (dead.by_card and dead.by_cpu):
        raise AssertionError(
            f"{dead.by_card} pieces by the card, {dead.by_cpu} by the CPU: nothing is to be told apart"
        )
    stage.say(
        f"a dying card: {len(dead.replanned)} of {len(dead.versions)} jobs planned anew; it made {dead.by_card} "
        f"pieces of their renditions, the CPU {dead.by_cpu}"
    )
    return [
        Row(
            case=f"T11 NVENC listed but unusable: decision, slowest of {len(UNUSABLE)} ways",
            ours=max(decided), theirs=None, unit="s", value=max(decided), bar=2.0, better="lower",
        ),
        _none(f"T11 session cap of {CAP} reached by {len(full.versions)} titles at once: failed jobs", full),
        _none(f"T11 card dies mid-job, {len(dead.versions)} titles: failed jobs", dead),
        Row(
            case="T11 encoder classes under one version, most",
            ours=dead.classes, theirs=None, unit="", value=dead.classes, bar=1, better="lower",
        ),
    ]  # fmt: skip


def _none(case: str, shop: Shop) -> Row:
    failed = len(shop.versions) - len(shop.whole)
    return Row(case=case, ours=failed, theirs=None, unit="jobs", value=failed, bar=0, better="lower")


async def _decision(stage: Stage, how: str) -> float:
    folder = stage.own(f"fallback-{how}")
    program, began = fake_ffmpeg(folder / "bin", how, cap=0), time.monotonic()
    found = await engine.best(program, folder, cards=False)
    if found.name != "x264":
        raise AssertionError(f"{found.name} was taken though it cannot work: {how}")
    return time.monotonic() - began


async def _shop(stage: Stage, master: Path, how: str, *, titles: int) -> Shop:
    """Let a farm whose card behaves like this make titles."""
    program = fake_ffmpeg(stage.own(f"fallback-shop-{how}") / "bin", how, cap=CAP)
    async with stages.standing() as house:
        settings = FarmSettings(
            home=house.folder,
            bucket=str(house.bucket),
            scratch_dir=house.folder / "scratch",
            redis_url=house.redis_of("farm"),
            threads=1,
        )
        # The start learnt eight; another program has opened four of them since.
        async with tasks.floor(settings, Engine(program, "bench", NVENC, sessions_cap=2 * CAP)) as on:
            shop = Shop(on, "masters/fallback")
            await on.bucket.put_file(shop.master, master)
            for number in range(titles):
                shop.submit(f"job{number}")
            await shop.work()
            await shop.look()
    stage.say(f"{how}: {len(shop.whole)} of {titles} titles whole")
    return shop
