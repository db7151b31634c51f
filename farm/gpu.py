"""The machine's GPUs as NVML sees them; a machine without one, or without the driver, has none."""

from __future__ import annotations

import msgspec
import pynvml


class Gpu(msgspec.Struct, frozen=True):
    """One card: its name, free memory, and how busy its encoder is in percent (None: it has no encoder)."""

    name: str
    memory_free_bytes: int
    encoder_percent: int | None


def gpus() -> list[Gpu]:
    """All cards, now; [] where NVML, driver or cards are missing."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return []
    try:
        return [_gpu(pynvml.nvmlDeviceGetHandleByIndex(index)) for index in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []
    finally:
        pynvml.nvmlShutdown()


def _gpu(handle: object) -> Gpu:
    name = pynvml.nvmlDeviceGetName(handle)
    try:
        busy: int | None = int(pynvml.nvmlDeviceGetEncoderUtilization(handle)[0])
    except pynvml.NVMLError:
        busy = None
    return Gpu(
        name.decode() if isinstance(name, bytes) else str(name),
        int(pynvml.nvmlDeviceGetMemoryInfo(handle).free),
        busy,
    )
