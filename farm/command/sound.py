"""All sounds of a title as AAC: each stream decoded once, measured by EBU R128 where asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import ffmpeg

from farm.command.base import Bench, compiled, source
from farm.grid import SOUND_FRAME, SOUND_RATE
from farm.plan import Plan, SoundPlan

#: Fragments of sound are cut anew by package.py; this only bounds them.
SOUND_FRAGMENT_US = 10_000_000
#: What the meter writes down (metadata of ffmpeg's ebur128): loudness so far in LUFS, highest true peak so far.
LOUDNESS, TRUE_PEAK = "lavfi.r128.I", "lavfi.r128.true_peak"


def sound(plan: Plan, bench: Bench, *, gains: Mapping[str, float] | None = None) -> list[str]:
    """Each sound whole in `<name>.mp4`, louder by its `gains` (dB), and what the default one measures then.

    Its first frame takes the place of the encoder's priming.
    """
    outputs = []
    for wanted, stream in _mixed(plan, bench):
        gain = (gains or {}).get(wanted.name, 0.0)
        louder = stream.filter("volume", f"{gain:.2f}dB", precision="float") if gain else stream
        metered = _metered(louder, wanted, bench) if wanted is plan.sound else louder
        whole = (
            metered.filter("apad", whole_len=wanted.samples)
            .filter("atrim", start_sample=SOUND_FRAME, end_sample=wanted.samples)
            .filter("asetpts", "PTS-STARTPTS")
        )
        outputs.append(ffmpeg.output(whole, str(bench.folder / f"{wanted.name}.mp4"), **_options(wanted)))
    return compiled(outputs, bench)


def measure(plan: Plan, bench: Bench) -> list[str]:
    """What each sound measures (loudness and true peak), and nothing else."""
    outputs = [
        ffmpeg.output(_metered(stream, wanted, bench, peaks=True), "-", format="null")
        for wanted, stream in _mixed(plan, bench)
    ]
    return compiled(outputs, bench)


def meter(folder: Path, name: str, key: str) -> Path:
    """Where the meter of a sound writes: pairs of lines, the last of them about the whole."""
    return folder / f"{name}.{key.rpartition('.')[2]}.txt"


def _metered(stream: Any, wanted: SoundPlan, bench: Bench, *, peaks: bool = False) -> Any:
    """The same sound, with what it measures written beside it."""
    stream = stream.filter("ebur128", metadata=1, **({"peak": "true"} if peaks else {}))
    for key in (LOUDNESS, TRUE_PEAK) if peaks else (LOUDNESS,):
        stream = stream.filter("ametadata", "print", key=key, file=str(meter(bench.folder, wanted.name, key)))
    return stream


def _mixed(plan: Plan, bench: Bench) -> Iterator[tuple[SoundPlan, Any]]:
    """Each sound in its own layout on the title's clock; all that come from one stream share its decoder."""
    shared: dict[int | None, list[Any]] = {}
    for wanted in plan.sounds:
        if wanted.stream not in shared:
            shared[wanted.stream] = _split(
                _timed(plan, bench, wanted), [one for one in plan.sounds if one.stream == wanted.stream]
            )
        stream = shared[wanted.stream].pop(0)
        yield (
            wanted,
            stream.filter("aformat", sample_fmts="fltp", sample_rates=SOUND_RATE, channel_layouts=wanted.layout),
        )


def _split(stream: Any, wanted: Sequence[SoundPlan]) -> list[Any]:
    """One for each sound. A split has one layout on all sides: without the widest named, ffmpeg takes the narrowest."""
    if len(wanted) == 1:
        return [stream]
    widest = max(wanted, key=lambda one: one.channels).layout
    split = stream.filter("aformat", channel_layouts=widest).filter_multi_output("asplit", len(wanted))
    return [split[number] for number in range(len(wanted))]


def _timed(plan: Plan, bench: Bench, wanted: SoundPlan) -> Any:
    """A stream from the title's zero on, gaps filled; silence where there is none."""
    if wanted.stream is None:
        stream = ffmpeg.input(
            f"anullsrc=channel_layout=stereo:sample_rate={SOUND_RATE}:duration={wanted.samples / SOUND_RATE + 1:.3f}",
            format="lavfi",
        )
    else:
        stream = source(plan, bench)[str(wanted.stream)].filter("asetpts", f"PTS-{plan.origin_us / 1e6:.6f}/TB")
    return stream.filter("aresample", SOUND_RATE, first_pts=0, **{"async": 1})


def _options(wanted: SoundPlan) -> dict[str, Any]:
    return {
        "acodec": "aac",
        "audio_bitrate": f"{wanted.kbps}k",
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
        "format": "mp4",
        "frag_duration": SOUND_FRAGMENT_US,
        "map_chapters": -1,
        "map_metadata": -1,
        "movflags": "+empty_moov+default_base_moof",
        "use_editlist": 0,
    }
