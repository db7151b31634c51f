"""One run of `make bench-farm`: which cases, how long, and what is written at the end."""

from __future__ import annotations

import datetime
import importlib
import shutil
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import imageio_ffmpeg
import msgspec

from benchmarks import cases, programs, report
from benchmarks.farm.films import Films
from benchmarks.farm.stage import ROUNDS, Stage
from benchmarks.report import Report, Row

NAME = "bench-farm"
Case = Callable[[Stage], Awaitable[list[Row]]]
_MODULES: Final = (
    *("ladder", "copy", "peer", "chunked", "odd", "scheduler", "kills"),
    *("cancel", "finalise", "first", "seek", "accept", "fallback", "pertitle"),
)


def _cases() -> dict[str, Case]:
    """One module a case, each with `async def rows(stage) -> list[Row]`; loaded when it runs."""

    def case(name: str) -> Case:
        async def rows(stage: Stage) -> list[Row]:
            found: list[Row] = await importlib.import_module(f"benchmarks.farm.{name}").rows(stage)
            return found

        return rows

    return {name: case(name) for name in _MODULES}


CASES: Final[dict[str, Case]] = _cases()


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What to run. `quick`: everything once and short, to see that it works; its figures mean little."""

    rounds: int = ROUNDS
    only: tuple[str, ...] = tuple(CASES)
    quick: bool = False
    clip: Path | None = None
    page: Path | None = report.PAGE


async def run(options: Options, environ: Mapping[str, str]) -> Report:
    """Measure, print, rewrite the page. A case that breaks gives a void row; the others go on."""
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="usher-bench-farm-") as folder:
        stage = standing(Path(folder), options, environ)
        for name in options.only:
            stage.say(f"{name} …")
            rows += await cases.one(name, CASES[name], stage)
            print(report.figures(rows), flush=True)
    done = report.make(NAME, rows, now=datetime.datetime.now(datetime.UTC))
    text = part(done, stage, options)
    print(text)
    if options.page:
        report.write(part_name(options), text, options.page, is_whole=_is_whole(options))
    return done


def standing(folder: Path, options: Options, environ: Mapping[str, str]) -> Stage:
    """The stage of a run in `folder`."""
    ffmpegs = {"wheel": str(imageio_ffmpeg.get_ffmpeg_exe())}
    if system := shutil.which("ffmpeg", path=environ.get("PATH")):
        ffmpegs["system"] = system
    films = Films(folder / "films", ffmpegs["wheel"], options.clip)
    return Stage(
        folder=folder, ffmpegs=ffmpegs, films=films, rounds=1 if options.quick else options.rounds, quick=options.quick
    )


def part_name(options: Options) -> str:
    """Which part of the page a run writes: one of some cases has its own, and leaves that of all as it is."""
    return NAME if _is_whole(options) else "-".join((NAME, *options.only))


def _is_whole(options: Options) -> bool:
    return options.only == tuple(CASES)


def part(done: Report, stage: Stage, options: Options) -> str:
    """The bench's part of the page."""
    heading = "The farm beside plain ffmpeg" + ("" if _is_whole(options) else f": {', '.join(options.only)} once more")
    versions = ", ".join(f"{name}: {programs.version(program, '-version')}" for name, program in stage.ffmpegs.items())
    return "\n\n".join(
        (
            f"## {heading}",
            f"{done.date[:16].replace('T', ' ')} UTC, commit {done.commit or 'unknown'}, `{command(options)}`, "
            f"on {done.machine}.  \nffmpeg: {versions}. Both sides use the wheel's where nothing else is said.",
            "CPU is user and system of all processes of a side, ours with its cutting and hashing. The sides take "
            f"turns in {stage.rounds} rounds; a ratio is the median of the rounds' ratios. VMAF is libvmaf's mean, "
            f"every fifth frame, scaled to the master's size. Masters are {stage.films.words}.",
            report.figures(done.rows),
            *stage.said,
        )
    )


def command(options: Options) -> str:
    """The line that runs the very same again."""
    words = ["usher bench farm"]
    if options.quick:
        words.append("--quick")
    elif options.rounds != ROUNDS:
        words.append(f"--rounds {options.rounds}")
    if not _is_whole(options):
        words.append(f"--only {','.join(options.only)}")
    if options.clip:
        words.append(f"--clip {options.clip.name}")
    return " ".join(words)
