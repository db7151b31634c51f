"""Plan → ffmpeg's argument list, compiled by ffmpeg-python to the option set of ffmpeg 5.1. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import ffmpeg
import msgspec

from farm.encoders.base import Encoder
from farm.grid import SOUND_RATE
from farm.plan import ChunkPlan, Plan, PosterPlan, SoundPlan, VideoPlan

#: Each GOP is a fragment; decode times start at zero; offsets of B-frames stay positive (package.py deals with them).
MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
#: Fragments of sound are cut anew by package.py; this only bounds them.
SOUND_FRAGMENT_US = 10_000_000
#: A decoder may lose this much at the end (held as the last picture); more fails the chunk.
LOST_TAIL_S = 2
#: A chunk's decoding starts this much before its first frame, so that rounding loses none.
RUN_UP_S = 1
#: At most this much sound is drawn on a made cover.
DRAWN_S = 600
_TO_SDR = (("zscale", {"t": "linear", "npl": 100}), ("format", {"pix_fmts": "gbrpf32le"}), ("zscale", {"p": "bt709"}))
_TO_709 = {"t": "bt709", "m": "bt709", "r": "tv"}


class Bench(msgspec.Struct, frozen=True):
    """Where a command works: the ffmpeg, the local master, the folder it may write, and threads (0: its choice)."""

    ffmpeg: str
    master: Path
    folder: Path
    threads: int = 0


def video(plan: Plan, piece: ChunkPlan, bench: Bench, *, encoder: Encoder) -> list[str]:
    """All renditions of a chunk at once: decoded once, each scaled from the one above, `<rendition>.mp4` each."""
    wanted = plan.picture
    node = _picture(plan, piece, bench)
    outputs = []
    for rendition, scaled in zip(wanted.renditions, _cascade(node, wanted), strict=True):
        options: dict[str, Any] = {
            **encoder.options(rendition, wanted.grid),
            "fflags": "+bitexact",
            "format": "mp4",
            "movflags": MOVFLAGS,
            "use_editlist": 0,
            "video_track_timescale": wanted.grid.timescale,
        }
        if bench.threads:
            options["threads"] = bench.threads
        outputs.append(ffmpeg.output(scaled, str(bench.folder / f"{rendition.name}.mp4"), **options))
    return _compiled(outputs, bench)


def sound(plan: Plan, bench: Bench) -> list[str]:
    """The whole sound as AAC in `<name>.mp4`. Its first frame takes the place of the encoder's priming."""
    wanted = plan.sound
    stream = _source(plan, bench)[str(wanted.stream)] if wanted.stream is not None else _silence(wanted)
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
    return _compiled([ffmpeg.output(stream, str(bench.folder / f"{wanted.name}.mp4"), **options)], bench)


def poster(plan: Plan, bench: Bench, *, at_s: float | None = None) -> list[str]:
    """The still as `poster.jpg`."""
    wanted = plan.poster
    seek = {"ss": f"{wanted.at_s if at_s is None else at_s:.3f}"}
    source = _source(plan, bench, **(seek if wanted.source == "frame" else {}))[str(wanted.stream)]
    if wanted.source == "drawn":
        source = _drawing(source, wanted)
    elif plan.video and plan.video.tonemap:
        source = _to_sdr(source)
    picture = source.filter("scale", wanted.width, wanted.height, flags="bicubic").filter("setsar", 1)
    options = {"vframes": 1, "format": "image2", "vcodec": "mjpeg", "pix_fmt": "yuvj420p", "q:v": 3, "update": 1}
    flags = {"fflags": "+bitexact", "flags:v": "+bitexact"}
    return _compiled([ffmpeg.output(picture, str(bench.folder / "poster.jpg"), **options, **flags)], bench)


def proof(ffmpeg_path: str, encoder: Encoder, options: dict[str, str | int]) -> list[str]:
    """One second of test picture through an encoder, thrown away: the only proof that it works here."""
    picture = ffmpeg.input("testsrc2=size=640x360:rate=25:duration=1", format="lavfi")
    output = ffmpeg.output(picture, "-", format="null", pix_fmt="yuv420p", **options)
    return [ffmpeg_path, "-hide_banner", "-nostdin", "-loglevel", "error", *ffmpeg.get_args(output)]


def _source(plan: Plan, bench: Bench, **options: Any) -> Any:
    """The master as an input: its own demuxer, files only, times as they are."""
    return ffmpeg.input(
        f"file:{bench.master}", format=plan.demuxer, protocol_whitelist="file", **{"copyts": None, **options}
    )


def _silence(wanted: SoundPlan) -> Any:
    return ffmpeg.input(
        f"anullsrc=channel_layout=stereo:sample_rate={SOUND_RATE}:duration={wanted.samples / SOUND_RATE + 1:.3f}",
        format="lavfi",
    )


def _picture(plan: Plan, piece: ChunkPlan, bench: Bench) -> Any:
    """Onto the grid: exactly the chunk's frames, the first at zero, one step apart; decoding starts a little before."""
    wanted = plan.picture
    starts = float(piece.first_frame / wanted.grid.rate)
    seek = {"ss": f"{max(0.0, starts - RUN_UP_S):.3f}"} if piece.first_frame else {}
    stream = _source(plan, bench, **seek)[str(wanted.stream)]
    if wanted.deinterlace:
        stream = stream.filter("bwdif", mode="send_frame")
    rate = f"{wanted.grid.rate_num}/{wanted.grid.rate_den}"
    held = float(wanted.hold_frames / wanted.grid.rate) + LOST_TAIL_S
    stream = (
        stream.filter("setpts", f"PTS-{plan.origin_us / 1e6 + starts:.6f}/TB")
        .filter("fps", fps=rate, start_time=0)
        .filter("tpad", stop_mode="clone", stop_duration=f"{held:.3f}")
        .filter("trim", end_frame=piece.frames)
    )
    return _to_sdr(stream) if wanted.tonemap else stream


def _to_sdr(stream: Any) -> Any:
    for name, options in _TO_SDR:
        stream = stream.filter(name, **options)
    return stream.filter("tonemap", "hable", desat=0).filter("zscale", **_TO_709)


def _cascade(node: Any, wanted: VideoPlan) -> list[Any]:
    scaled = []
    for position, rendition in enumerate(wanted.renditions):
        node = (
            node.filter("scale", rendition.width, rendition.height, flags="bicubic")
            .filter("setsar", 1)
            .filter("format", "yuv420p")
        )
        if position == len(wanted.renditions) - 1:
            scaled.append(node)
        else:
            split = node.filter_multi_output("split", 2)
            scaled.append(split[0])
            node = split[1]
    return scaled


def _drawing(stream: Any, wanted: PosterPlan) -> Any:
    """The shape of the sound on a plain ground."""
    size = f"{wanted.width}x{wanted.height}"
    wave = stream.filter("atrim", duration=DRAWN_S).filter(
        "showwavespic", size=size, colors="0x8b9cf7", split_channels=0
    )
    ground = ffmpeg.input(f"color=c=0x14162b:s={size}:r=1:d=1", format="lavfi")
    return ffmpeg.overlay(ground, wave, format="auto")


def _compiled(outputs: list[Any], bench: Bench) -> list[str]:
    merged = outputs[0] if len(outputs) == 1 else ffmpeg.merge_outputs(*outputs)
    args: list[str] = ffmpeg.get_args(merged)
    head = ["-hide_banner", "-nostdin", "-nostats", "-loglevel", "warning", "-progress", "pipe:1", "-y"]
    return [bench.ffmpeg, *head, *args]
