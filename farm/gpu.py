"""The machine's GPUs as NVML sees them; a machine without one, or without the driver, has none."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec
import pynvml

from shared.metrics import FARM_SESSIONS, GPU_CELSIUS, GPU_DECODER, GPU_ENCODER, GPU_MEMORY
from shared.need import GpuState


class Card(msgspec.Struct, frozen=True):
    """One card, now: what a worker tells of it, and the encoder sessions that all programs have open on it."""

    state: GpuState
    sessions: int


def cards() -> list[Card]:
    """All cards, now; [] where NVML, driver or cards are missing. Blocks for milliseconds."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_card(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        with contextlib.suppress(pynvml.NVMLError):  # a driver that was reset meanwhile
            pynvml.nvmlShutdown()


def gpus() -> list[GpuState]:
    """What a worker tells of its cards."""
    return [card.state for card in cards()]


def driver() -> str:
    """The driver's version, empty where there is none."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ""
    try:
        return _text(pynvml.nvmlSystemGetDriverVersion())
    except pynvml.NVMLError:
        return ""
    finally:
        with contextlib.suppress(pynvml.NVMLError):  # a driver that was reset meanwhile
            pynvml.nvmlShutdown()


def watch() -> list[Card]:
    """All cards, now, shown as gauges too."""
    seen = cards()
    FARM_SESSIONS.set(sum(card.sessions for card in seen))
    for card in seen:
        state, index = card.state, str(card.state.index)
        GPU_MEMORY.labels(index).set(state.memory_free_bytes)
        for gauge, value in (
            (GPU_ENCODER, state.encoder_percent),
            (GPU_DECODER, state.decoder_percent),
            (GPU_CELSIUS, state.celsius),
        ):
            if value is not None:
                gauge.labels(index).set(value)
    return seen


def _card(index: int) -> Card:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    state = GpuState(
        index=index,
        name=_text(pynvml.nvmlDeviceGetName(handle)),
        memory_free_bytes=int(pynvml.nvmlDeviceGetMemoryInfo(handle).free),
        encoder_percent=_number(lambda: pynvml.nvmlDeviceGetEncoderUtilization(handle)[0]),
        decoder_percent=_number(lambda: pynvml.nvmlDeviceGetDecoderUtilization(handle)[0]),
        celsius=_number(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
    )
    return Card(state, _number(lambda: pynvml.nvmlDeviceGetEncoderStats(handle)[0]) or 0)


def _number(read: Callable[[], Any]) -> int | None:
    """A figure of the card, None where it has no such unit or does not say."""
    try:
        return int(read())
    except pynvml.NVMLError:
        return None


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
