"""wrk: requests as fast as a server answers, told apart by what came back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

SCRIPT = Path(__file__).with_suffix(".lua")


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One run: lines of `paths` from `first` on, over `connections` of one thread. `forge` spoils each signature."""

    url: str
    paths: Path
    connections: int
    seconds: int
    first: int = 0
    forge: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """What wrk saw. `status` counts answers of 400 and more, `broken` connections refused, cut or timed out."""

    requests: int
    bytes: int
    duration_s: float
    p50_ms: float
    p99_ms: float
    status: int
    broken: int


class Failed(Exception):
    """wrk did not run to its end; its words."""


def argv(program: str, load: Load) -> list[str]:
    """The command line of a run."""
    options = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "10s", "-s", str(SCRIPT)]
    script = [str(load.paths), str(load.first), *(["forge"] if load.forge else [])]
    return [program, *options, load.url, "--", *script]


def parse(output: str) -> Outcome:
    """The outcome in wrk's output. Raises Failed when there is none."""
    for line in output.splitlines():
        if line.startswith('{"requests"'):
            return msgspec.json.decode(line, type=Outcome)
    raise Failed(output.strip() or "wrk said nothing")


async def run(program: str, load: Load) -> Outcome:
    """Run to the end. Raises Failed."""
    process = await asyncio.create_subprocess_exec(
        *argv(program, load), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        said, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return parse(said.decode(errors="replace"))


def fault(outcome: Outcome, *, body_bytes: int, connections: int, wanted_status: bool = True) -> str:
    """Why a run does not count; empty where it does. `wanted_status` False: each answer must be a refusal.

    Each answer is a head and the body; what was under way at the end counts among the bytes alone.
    """
    refused = 0 if wanted_status else outcome.requests
    if outcome.broken or outcome.status != refused:
        return f"{outcome.status} answers of 400 and more, {outcome.broken} broken connections"
    low = outcome.requests * body_bytes
    high = (outcome.requests + connections) * (body_bytes + HEAD_ROOM_BYTES)
    if not outcome.requests or not low < outcome.bytes < high:
        return f"{outcome.bytes} bytes for {outcome.requests} bodies of {body_bytes}"
    return ""


#: More than any server's head of an answer.
HEAD_ROOM_BYTES = 2000
