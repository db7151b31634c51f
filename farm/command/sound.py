"""The whole sound of a title as AAC. Pure."""

from __future__ import annotations

from typing import Any

import ffmpeg

from farm.command.base import Bench, compiled, source
from farm.grid import SOUND_RATE
from farm.plan import Plan, SoundPlan

#: Fragments of sound are cut anew by package.py; this only bounds them.
SOUND_FRAGMENT_US = 10_000_000


def sound(plan: Plan, bench: Bench) -> list[str]:
    """The whole sound as AAC in `<name>.mp4`. Its first frame takes the place of the encoder's priming."""
    wanted = plan.sound
    stream = source(plan, bench)[str(wanted.stream)] if wanted.stream is not None else _silence(wanted)
    if wanted.stream is not None:
        stream = stream.filter("asetpts", f"PTS-{plan.origin_us / 1e6:.6f}/TB")
    stream = (
        stream.filter("aresample", SOUND_RATE, first_pts=0, **{"async": 1})
        .filter("aformat", sample_fmts="fltp", sample_rates=SOUND_RATE, channel_layouts="stereo")
        .filter("apad", whole_len=wanted.samples)
        .filter("atrim", start_sample=1024, end_sample=wanted.samples)
        .filter("asetpts", "PTS-STARTPTS")
    )
    options: dict[str, Any] = {
        "acodec": "aac",
        "audio_bitrate": f"{wanted.kbps}k",
        "fflags": "+bitexact",
        "flags:a": "+bitexact",
        "format": "mp4",
        "frag_duration": SOUND_FRAGMENT_US,
        "movflags": "+empty_moov+default_base_moof",
        "use_editlist": 0,
    }
    return compiled([ffmpeg.output(stream, str(bench.folder / f"{wanted.name}.mp4"), **options)], bench)


def _silence(wanted: SoundPlan) -> Any:
    return ffmpeg.input(
        f"anullsrc=channel_layout=stereo:sample_rate={SOUND_RATE}:duration={wanted.samples / SOUND_RATE + 1:.3f}",
        format="lavfi",
    )
