"""`usher farm` against a control plane that runs, with workers whose word lies in its Redis."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from redis.asyncio import Redis

from infra.cli import main
from infra.stack.plan import ROOT
from shared.jobs import ChunkTicket
from shared.need import GpuState, Needs, Offer, WorkerState, score
from tests.support.postgres import run
from tests.support.stack import Running, running_stack, usher

CARD = GpuState(index=0, name="NVIDIA L4", memory_free_bytes=20 << 30, encoder_percent=40, celsius=61)
WORKERS = (
    WorkerState("east", ("cpu",), "x264", "n9.0.2", speed=2.5),
    WorkerState("west", ("gpu", "cpu"), "nvenc", "n9.0.2", gpus=(CARD,), sessions=4, sessions_cap=8),
)
JOB = "job_0123456789abcdef0123456789abcdef"
ROWS = """
insert into title (id, seller, kind, short_id, short_folded, slug, name)
    select 'ttl_0123456789abcdef0123456789abcdef', id, 'video', 'sh', 'sh', 'long-way', 'The Long Way'
    from seller limit 1;
insert into upload (id, title, principal, filename, size_bytes, expires_at)
    select 'upl_1', title.id, principal.id, 'm.mp4', 1, now() from title, principal limit 1;
insert into job (id, title, upload, seller, master, sha256, kind, queue, queued_at, version, state, duration_s)
    select 'job_0123456789abcdef0123456789abcdef', id, 'upl_1', seller, 'm', 's', 'video', 'cpu', now(), 'ver1',
        'encoding', 3725 from title;
insert into job_chunk (job, chunk, started, failures)
    select id, chunk, started, failures from job, (values ('0', 2, 1), ('1', 0, 0)) as made (chunk, started, failures);
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Control without a farm, and a job in its rows."""
    only = ["--only", "postgres,valkey,control"]
    with running_stack(tmp_path_factory.mktemp("farm"), demo=False, arguments=only) as running:
        asyncio.run(run(running.database_url, ROWS))
        asyncio.run(_offer(running))
        yield running


@contextlib.asynccontextmanager
async def needs_of(running: Running) -> AsyncIterator[Needs]:
    redis = Redis.from_url(running.redis_url)
    try:
        yield Needs(redis, lease_s=600)
    finally:
        await redis.aclose()


async def _tell(running: Running, *states: WorkerState) -> None:
    """What workers say, heard for as long as a test lasts."""
    redis = Redis.from_url(running.redis_url)
    for state in states:
        await Needs(redis, lease_s=600).tell(state)
        await redis.persist(f"farm:worker:{state.name}")
    await redis.aclose()


async def _forget(running: Running, state: WorkerState) -> None:
    async with needs_of(running) as needs:
        await needs.leave(state)


async def _offer(running: Running) -> None:
    async with needs_of(running) as needs:
        work = {chunk: ChunkTicket(JOB, "ttl_1", "ver1", chunk) for chunk in ("0", "1")}
        scores = {"0": score(2), "1": score(1, 1)}
        await needs.offer(Offer("ver1", "cpu", "s", 0, 30.0, 1, {**work}, scores))
        taken = await needs.take("east/1", ["cpu"], memory_bytes=1)
        assert taken is not None and taken.chunk == "0"


async def _standing(running: Running, name: str, *, since: float = 0.0) -> str:
    async with needs_of(running) as needs:
        return await needs.cordoned(name, since=since)


@pytest.fixture
def farm(stack: Running) -> Running:
    """The stack, its workers heard of just now."""
    asyncio.run(_tell(stack, *WORKERS))
    return stack


def line_with(words: str, said: str) -> list[str]:
    (found,) = [line.split() for line in said.splitlines() if words in line]
    return found


def test_status_shows_workers_cards_and_media_that_waits(farm: Running) -> None:
    shown = usher(farm, "farm", "status")
    assert shown.returncode == 0, shown.stderr
    said = shown.stdout
    cpu = next(line.split() for line in said.splitlines() if line.split()[:1] == ["cpu"])
    assert cpu == ["cpu", "2", "1", "1", "30", "s", "30", "s"]
    assert "2.50 x real time, through in 0:00:24" in said
    assert {"x264", "2.50", "Long", "0"} <= set(line_with("east", said))
    assert {"nvenc", "4/8", "idle", "L4,", "20.0"} <= set(line_with("west", said))
    told = msgspec.json.decode(usher(farm, "farm", "status", "--json").stdout)
    assert [worker["name"] for worker in told["workers"]] == ["east", "west"]


def test_jobs_and_one_job_are_shown(farm: Running) -> None:
    assert {JOB, "encoding", "0/2", "cpu"} <= set(line_with("The Long Way", usher(farm, "farm", "jobs").stdout))
    assert usher(farm, "farm", "jobs", "--failed").stdout.strip() == "No job failed."
    shown = usher(farm, "farm", "show", JOB).stdout
    pieces = {line.split()[0]: line.split()[1:] for line in shown.splitlines() if line.split()[-1:] == ["east"]}
    assert pieces == {"0": ["running", "0%", "2", "1", "0", "east"]} and "1:02:05" in shown
    missing = usher(farm, "farm", "show", "job_no")
    assert (missing.returncode, missing.stderr.strip()) == (1, "There is no such job.")


def test_worker_is_cordoned_opened_and_drained(farm: Running) -> None:
    assert usher(farm, "farm", "cordon", "east").stdout.strip() == "east takes nothing more."
    assert asyncio.run(_standing(farm, "east")) == "cordon"
    assert "takes no more" in usher(farm, "farm", "status").stdout
    assert usher(farm, "farm", "cordon", "east", "--undo").returncode == 0
    assert asyncio.run(_standing(farm, "east")) == ""
    first, second = (msgspec.structs.replace(WORKERS[0], name="gone", since=since) for since in (1.0, 2.0))
    asyncio.run(_tell(farm, first))
    with subprocess.Popen(**command(farm, "farm", "drain", "gone", "--wait"), stdout=subprocess.PIPE) as waiting:
        try:
            assert waiting.stdout is not None
            assert b"leaves once it is idle" in waiting.stdout.readline()
            assert asyncio.run(_standing(farm, "gone", since=1.0)) == "drain"
            asyncio.run(_tell(farm, second))
            said, _ = waiting.communicate(timeout=60)
            assert b"has left" in said, "one of its name that began later is another"
        finally:
            waiting.kill()
    asyncio.run(_forget(farm, second))
    unknown = usher(farm, "farm", "drain", "nobody")
    assert unknown.returncode == 1 and "No worker nobody was heard of" in unknown.stderr


def command(running: Running, *arguments: str) -> dict[str, Any]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("USHER_")}
    own |= {"USHER_HOME": running.home, "COLUMNS": "160", "LINES": "50", "TERM": "xterm"}
    return {"args": [sys.executable, "-u", "-m", "infra.cli", *arguments], "cwd": ROOT, "env": own}


def test_table_on_a_terminal_is_drawn_anew_and_says_when_redis_is_away(farm: Running) -> None:
    screen, terminal = pty.openpty()
    looking = subprocess.Popen(**command(farm, "farm", "status", "--every", "0.2"), stdout=terminal, stderr=terminal)
    os.close(terminal)
    try:
        until(screen, r"east.*2\.50")
        asyncio.run(_tell(farm, msgspec.structs.replace(WORKERS[0], speed=7.25)))
        until(screen, r"east.*7\.25")
        os.kill(farm.pids["valkey"], signal.SIGSTOP)
        try:
            until(screen, r"Redis does not answer")
        finally:
            os.kill(farm.pids["valkey"], signal.SIGCONT)
        looking.send_signal(signal.SIGINT)
        assert looking.wait(20) == 0
    finally:
        looking.kill()
        looking.wait()
        os.close(screen)


def until(screen: int, pattern: str, *, within_s: float = 60) -> None:
    """Read what is drawn until it holds the pattern."""
    seen, deadline = "", time.monotonic() + within_s
    while not re.search(pattern, seen):
        assert time.monotonic() < deadline, seen[-2000:]
        if select.select([screen], [], [], 0.2)[0]:
            seen += os.read(screen, 1 << 16).decode(errors="replace")


def test_retry_and_cancel_say_what_became_of_a_job(farm: Running) -> None:
    assert usher(farm, "farm", "cancel", JOB).stdout.strip() == f"{JOB} is cancelled."
    assert {JOB, "cancelled"} <= set(line_with("The Long Way", usher(farm, "farm", "jobs", "--failed").stdout))
    again = usher(farm, "farm", "cancel", JOB)
    assert again.returncode == 1 and "is cancelled already" in again.stderr
    retried = usher(farm, "farm", "retry", JOB)
    assert re.fullmatch(r"job_\w+ is queued for the same master\.", retried.stdout.strip()), retried.stderr


def test_without_control_the_words_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("USHER_HOME", str(tmp_path))
    monkeypatch.setenv("USHER_ORIGIN", "http://127.0.0.1:1")
    monkeypatch.setenv("USHER_BEARER", "b")
    assert main(["farm", "status"]) == 1
    assert "http://127.0.0.1:1 does not answer" in capsys.readouterr().err
