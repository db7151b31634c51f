"""`usher bench` and `usher load`: Usher beside what else one might run, and under players."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Mapping
from types import ModuleType

import msgspec


def edge(arguments: argparse.Namespace) -> int:
    """The edge beside nginx; the last line is one JSON object. 1: a bar is not held, 2: a program is missing."""
    from benchmarks import programs
    from benchmarks.edge import bench

    try:
        return _measure(bench, arguments, os.environ, seconds=arguments.seconds)
    except programs.Missing as missing:
        print(missing, file=sys.stderr)
        return 2


def farm(arguments: argparse.Namespace) -> int:
    """The farm beside plain ffmpeg; the last line is one JSON object. 1: a bar is not held, 2: a bad argument."""
    from benchmarks.farm import bench

    if arguments.clip and not arguments.clip.is_file():
        print(f"{arguments.clip}: there is no such file.", file=sys.stderr)
        return 2
    return _measure(bench, arguments, os.environ, clip=arguments.clip.absolute() if arguments.clip else None)


def money(arguments: argparse.Namespace) -> int:
    """The ledger; the last line is one JSON object. 1: a bar is not held, 2: a bad argument."""
    from benchmarks.money import bench

    return _measure(bench, arguments, seconds=arguments.seconds)


def load(arguments: argparse.Namespace) -> int:
    """Players against an edge of their own. 1: a threshold does not hold, 2: a program is missing."""
    from benchmarks import programs
    from benchmarks.locust import run

    options = run.Options(
        players=arguments.players, seconds=arguments.seconds, slow_ms=arguments.slow_ms, against=arguments.against
    )
    if arguments.out:
        options = msgspec.structs.replace(options, out=arguments.out.absolute())
    if arguments.no_page:
        options = msgspec.structs.replace(options, page=None)
    try:
        return asyncio.run(run.run(options, os.environ))
    except programs.Missing as missing:
        print(missing, file=sys.stderr)
        return 2


def _measure(bench: ModuleType, arguments: argparse.Namespace, *given: Mapping[str, str], **more: object) -> int:
    """Run the cases that are asked for; `given` goes to the bench beside its options, `more` into them."""
    cases = tuple(bench.CASES)
    only = tuple(arguments.only.split(",")) if arguments.only else cases
    if unknown := sorted(set(only) - set(cases)):
        print(f"There is no case {unknown[0]}: the cases are {', '.join(cases)}.", file=sys.stderr)
        return 2
    options = bench.Options(rounds=arguments.rounds, only=only, quick=arguments.quick, **more)
    if arguments.no_page:
        options = msgspec.structs.replace(options, page=None)
    report = asyncio.run(bench.run(options, *given))
    print(msgspec.json.encode(report).decode(), flush=True)
    return 1 if report.failed and not arguments.quick else 0
