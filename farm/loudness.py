"""Loudness by EBU R128: what ffmpeg's meter wrote down, and how much louder a sound may be made. Pure but for reading.

A sound is brought to the target by one linear gain for all of it, so its dynamics stay; where its true peak does not
allow that, it stays below the target.
"""

from __future__ import annotations

import math
from pathlib import Path

from farm.command.sound import LOUDNESS, TRUE_PEAK, meter

#: The loudness that titles are brought to, and the highest true peak that may come out of it.
TARGET_LUFS, TOP_PEAK_DB = -16.0, -1.0
#: What the meter says of silence; a faint hiss is not made louder than this.
SILENCE_LUFS, MOST_GAIN_DB = -70.0, 20.0
#: The last words of the meter lie in so many bytes.
_TAIL_BYTES = 4096


def measured(folder: Path, name: str) -> float | None:
    """The loudness of a sound in LUFS, None for silence and what is too short to measure."""
    lufs = _last(meter(folder, name, LOUDNESS), LOUDNESS)
    return None if lufs is None or lufs <= SILENCE_LUFS else lufs


def gain_db(folder: Path, name: str) -> float:
    """What brings a measured sound to the target, as far as its true peak allows; 0 for silence."""
    lufs, peak = measured(folder, name), _last(meter(folder, name, TRUE_PEAK), TRUE_PEAK)
    if lufs is None or not peak:
        return 0.0
    return min(TARGET_LUFS - lufs, TOP_PEAK_DB - 20 * math.log10(peak), MOST_GAIN_DB)


def _last(path: Path, key: str) -> float | None:
    """The last value of `key` in a file of the meter."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        return None
    said = next((line for line in reversed(lines) if line.startswith(f"{key}=")), None)
    try:
        value = float(said.partition("=")[2]) if said else math.nan
    except ValueError:
        return None
    return value if math.isfinite(value) else None
