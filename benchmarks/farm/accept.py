"""T10: taking or refusing a master, beside one ffprobe of it."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import msgspec

from benchmarks.farm.cpu import Failed, run
from benchmarks.farm.films import Film
from benchmarks.farm.stage import Stage
from benchmarks.report import Row
from farm import prober
from farm.media import MediaInfo
from shared.errors import MasterRejected

#: Looks a round: the kernel counts another process' CPU in hundredths of a second.
LOOKS = 10
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_PROBE = ("-v", "error", "-of", "json", "-show_format", "-show_streams")


class _Cost(msgspec.Struct):
    """CPU and wall seconds of one look, round by round."""

    cpu_s: list[float] = []
    wall_s: list[float] = []


async def rows(stage: Stage) -> list[Row]:
    """Per master: CPU and wall of the farm's own look, and of a spawned ffprobe; void without an ffprobe."""
    ffprobe = shutil.which("ffprobe")
    seconds = stage.seconds(24, quick=4)
    detailed = await stage.film(Film(seconds=seconds, kbps=5000))
    soft = await stage.film(Film(picture="soft", seconds=seconds, kbps=5000))
    matroska = await stage.films.made("accept.mkv", "-i", str(detailed), "-c", "copy")
    broken = stage.films.folder / "accept-cut.mp4"
    broken.write_bytes(detailed.read_bytes()[: detailed.stat().st_size * 2 // 3])
    stage.theirs("Taking a master", ["ffprobe", *_PROBE, str(detailed)])
    found = []
    # One picture is decoded, so a first one full of detail costs more; of Matroska all is read, which ffprobe does not.
    for words, master, bar in (
        ("take an MP4", soft, 0.2),
        ("take an MP4 full of detail", detailed, 0.2),
        ("refuse an MP4 cut off", broken, 0.2),
        ("take a Matroska file", matroska, None),
    ):
        found += await _case(stage, words, master, ffprobe=ffprobe, bar=bar)
    return found


async def _case(stage: Stage, words: str, master: Path, *, ffprobe: str | None, bar: float | None) -> list[Row]:
    folder = stage.own("accept")
    await _looked(master, folder)  # the process that waits is there from the first master on
    ours, theirs = _Cost(), _Cost()
    for _ in range(stage.rounds):
        await _measured(ours, lambda: _looked(master, folder))
        if ffprobe:
            await _measured(theirs, lambda: _probed(ffprobe, master, folder))
    return [
        _row(f"T10 {words}, against a spawned ffprobe: CPU", ours.cpu_s, theirs.cpu_s, bar=bar),
        _row(f"T10 {words}, against a spawned ffprobe: wall", ours.wall_s, theirs.wall_s),
    ]


def _row(case: str, ours: list[float], theirs: list[float], *, bar: float | None = None) -> Row:
    mine = 1000 * statistics.median(ours)
    other = 1000 * statistics.median(theirs) if theirs else None
    value = mine / other if other else None
    return Row(case=case, ours=mine, theirs=other, unit="ms", value=value, bar=bar, better="lower")


async def _looked(master: Path, folder: Path) -> MediaInfo | MasterRejected:
    try:
        return await prober.look(master, folder, sound_only=False)
    except MasterRejected as refused:
        return refused


async def _probed(ffprobe: str, master: Path, folder: Path) -> None:
    with suppress(Failed):  # a broken master is an error to ffprobe too: that is its answer
        await run([ffprobe, *_PROBE, str(master)], folder)


async def _measured(cost: _Cost, look: Callable[[], Awaitable[object]]) -> None:
    cpu, began = _cpu_s(), time.perf_counter()
    for _ in range(LOOKS):
        await look()
    cost.wall_s.append((time.perf_counter() - began) / LOOKS)
    cost.cpu_s.append((_cpu_s() - cpu) / LOOKS)


def _cpu_s() -> float:
    """CPU of this process, of all children that ended, and of those that wait for masters, with their children."""
    own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    waiting = sum(_ticks(process.pid) for process in prober.waiting()) * _TICK_S
    return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime + waiting


def _ticks(pid: int) -> int:
    """utime, stime, cutime and cstime of proc(5)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15]))
