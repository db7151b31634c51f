"""Trials: some seconds of a title in a few qualities, and how good each looks beside the source. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ffmpeg
import msgspec

from farm.command.base import Bench, compiled, to_sdr
from farm.encoders.x264 import X264
from farm.plan import Plan
from shared.ladder import Rendition

#: Each so many frames of a trial are judged.
JUDGED = 5


class Trial(msgspec.Struct, frozen=True):
    """What is tried: the renditions of a plan, each in several qualities, on excerpts of `each_s` seconds at `places_s`
    (seconds from the file's start)."""

    plan: Plan
    renditions: tuple[tuple[Rendition, ...], ...]
    places_s: tuple[float, ...]
    each_s: float


def name(rendition: Rendition) -> str:
    """The file of one quality, without its ending."""
    return f"{rendition.name}-{rendition.crf}"


def encode(trial: Trial, bench: Bench) -> list[str]:
    """All qualities of all renditions from one decode, `<name>.mp4` each."""
    outputs = []
    for qualities, picture in zip(trial.renditions, _pictures(trial, bench), strict=True):
        split = picture.filter_multi_output("split", len(qualities))
        for number, quality in enumerate(qualities):
            options: dict[str, Any] = {**X264.options(quality, trial.plan.picture.grid), "format": "mp4"}
            if bench.threads:
                options["threads"] = bench.threads
            outputs.append(ffmpeg.output(split[number], str(bench.folder / f"{name(quality)}.mp4"), **options))
    return compiled(outputs, bench)


def judge(trial: Trial, bench: Bench) -> list[str]:
    """VMAF of each quality beside the source at the rendition's own size, in `<name>.json` each."""
    outputs = []
    for qualities, picture in zip(trial.renditions, _pictures(trial, bench), strict=True):
        split = picture.filter_multi_output("split", len(qualities))
        for number, quality in enumerate(qualities):
            shown = ffmpeg.input(str(bench.folder / f"{name(quality)}.mp4"))["v:0"]
            log = {"log_fmt": "json", "log_path": f"{name(quality)}.json", "n_subsample": JUDGED}
            judged = ffmpeg.filter([_numbered(shown), _numbered(split[number])], "libvmaf", shortest=1, **log)
            outputs.append(ffmpeg.output(judged, "-", format="null"))
    return compiled(outputs, bench)


def _numbered(picture: Any) -> Any:
    """Frames pair by number."""
    return picture.filter("settb", "1/1000").filter("setpts", "N")


def _pictures(trial: Trial, bench: Bench) -> Sequence[Any]:
    """The excerpts, one after the other, in the size of each rendition."""
    wanted = trial.plan.picture
    parts = [
        ffmpeg.input(
            f"file:{bench.master}", format=trial.plan.demuxer, protocol_whitelist="file", ss=at, t=trial.each_s
        )[str(wanted.stream)].filter("setpts", "PTS-STARTPTS")
        for at in trial.places_s
    ]
    picture = ffmpeg.concat(*parts, v=1, a=0) if len(parts) > 1 else parts[0]
    if wanted.deinterlace:
        picture = picture.filter("bwdif", mode="send_frame")
    picture = picture.filter("fps", fps=f"{wanted.grid.rate_num}/{wanted.grid.rate_den}")
    if wanted.tonemap:
        picture = to_sdr(picture)
    split = picture.filter_multi_output("split", len(trial.renditions))
    return [
        split[number]
        .filter("scale", qualities[0].width, qualities[0].height, flags="bicubic")
        .filter("setsar", 1)
        .filter("format", "yuv420p")
        for number, qualities in enumerate(trial.renditions)
    ]
