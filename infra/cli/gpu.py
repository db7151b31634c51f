"""`usher gpu-check`: what cards, driver and ffmpeg of this machine do for the farm, and which class it would take."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from farm import engine, gpu
from farm.encoders import ENCODERS, encoder
from shared.errors import Misconfigured
from shared.settings import FarmSettings, load


def check(_: argparse.Namespace) -> int:
    """Print it, one fact a line. 2: there is no ffmpeg, or a setting is wrong."""
    try:
        settings = load(FarmSettings)
        with tempfile.TemporaryDirectory(prefix="usher-gpu-check-") as folder:
            asyncio.run(_check(msgspec.structs.replace(settings, scratch_dir=Path(folder))))
    except Misconfigured as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def _check(settings: FarmSettings) -> None:
    cards, folder = gpu.cards(), settings.scratch_dir
    _say("driver", gpu.driver() or "none: NVML finds no NVIDIA driver")
    for card in cards:
        _say(f"card {card.state.index}", ", ".join(_facts(card)))
    path, build = await engine.program(settings.ffmpeg, folder)
    _say("ffmpeg", f"{path} ({build})")
    for name, candidate in ENCODERS.items():
        began = time.monotonic()
        why = await engine.why_not(path, candidate, folder)
        _say(name, f"{f'no: {why}' if why else 'encodes'} ({time.monotonic() - began:.1f} s)")
    began = time.monotonic()
    found = await engine.best(path, folder, cards=bool(cards))
    _say("auto takes", f"{found.name} (decided in {time.monotonic() - began:.1f} s)")
    if found.on_card:
        _say("sessions", str(await engine.sessions_cap(path, encoder(found.name), settings)))


def _facts(card: gpu.Card) -> Iterator[str]:
    state = card.state
    yield state.name
    yield f"{state.memory_free_bytes / 2**30:.1f} GiB free"
    if state.celsius is not None:
        yield f"{state.celsius} °C"
    for unit, percent in (("encoder", state.encoder_percent), ("decoder", state.decoder_percent)):
        yield f"{unit} {'not told' if percent is None else f'{percent} % busy'}"
    yield f"{card.sessions} encoder sessions open"


def _say(what: str, words: str) -> None:
    print(f"{what:<12} {words}", flush=True)
