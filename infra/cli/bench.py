"""`usher bench` and `usher load`: Usher beside what else one might run, and under players."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys

import msgspec


def edge(arguments: argparse.Namespace) -> int:
    """The edge beside nginx; the last line is one JSON object. 1: a bar is not held, 2: a program is missing."""
    from benchmarks import programs
    from benchmarks.edge import bench

    only = tuple(arguments.only.split(",")) if arguments.only else bench.CASES
    if unknown := sorted(set(only) - set(bench.CASES)):
        print(f"There is no case {unknown[0]}: the cases are {', '.join(bench.CASES)}.", file=sys.stderr)
        return 2
    options = bench.Options(rounds=arguments.rounds, seconds=arguments.seconds, only=only, quick=arguments.quick)
    if arguments.no_page:
        options = msgspec.structs.replace(options, page=None)
    try:
        report = asyncio.run(bench.run(options, os.environ))
    except programs.Missing as missing:
        print(missing, file=sys.stderr)
        return 2
    print(msgspec.json.encode(report).decode(), flush=True)
    return 1 if report.failed and not arguments.quick else 0


def farm(arguments: argparse.Namespace) -> int:
    """The farm beside plain ffmpeg; the last line is one JSON object. 1: a bar is not held, 2: a bad argument."""
    from benchmarks.farm import bench

    only = tuple(arguments.only.split(",")) if arguments.only else tuple(bench.CASES)
    if unknown := sorted(set(only) - set(bench.CASES)):
        print(f"There is no case {unknown[0]}: the cases are {', '.join(bench.CASES)}.", file=sys.stderr)
        return 2
    if arguments.clip and not arguments.clip.is_file():
        print(f"{arguments.clip}: there is no such file.", file=sys.stderr)
        return 2
    clip = arguments.clip.absolute() if arguments.clip else None
    options = bench.Options(rounds=arguments.rounds, only=only, quick=arguments.quick, clip=clip)
    if arguments.no_page:
        options = msgspec.structs.replace(options, page=None)
    report = asyncio.run(bench.run(options, os.environ))
    print(msgspec.json.encode(report).decode(), flush=True)
    return 1 if report.failed and not arguments.quick else 0


def money(arguments: argparse.Namespace) -> int:
    """The ledger; the last line is one JSON object. 1: a bar is not held, 2: a bad argument."""
    from benchmarks.money import bench

    only = tuple(arguments.only.split(",")) if arguments.only else tuple(bench.CASES)
    if unknown := sorted(set(only) - set(bench.CASES)):
        print(f"There is no case {unknown[0]}: the cases are {', '.join(bench.CASES)}.", file=sys.stderr)
        return 2
    options = bench.Options(rounds=arguments.rounds, seconds=arguments.seconds, only=only, quick=arguments.quick)
    if arguments.no_page:
        options = msgspec.structs.replace(options, page=None)
    report = asyncio.run(bench.run(options))
    print(msgspec.json.encode(report).decode(), flush=True)
    return 1 if report.failed and not arguments.quick else 0


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
