"""The picture of a chunk: one decode, onto the grid, scaled down rung by rung. Pure."""

from __future__ import annotations

from typing import Any

import ffmpeg

from farm.command.base import Bench, compiled, source, to_sdr
from farm.encoders.base import Encoder
from farm.plan import ChunkPlan, Plan, VideoPlan

#: Each GOP is a fragment; decode times start at zero; offsets of B-frames stay positive (package.py deals with them).
MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
#: A decoder may lose this much at the end (held as the last picture); more fails the chunk.
LOST_TAIL_S = 2
#: A chunk's decoding starts this much before its first frame, so that rounding loses none.
RUN_UP_S = 1


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
    return compiled(outputs, bench)


def _picture(plan: Plan, piece: ChunkPlan, bench: Bench) -> Any:
    """Onto the grid: exactly the chunk's frames, the first at zero, one step apart; decoding starts a little before."""
    wanted = plan.picture
    starts = float(piece.first_frame / wanted.grid.rate)
    seek = {"ss": f"{max(0.0, starts - RUN_UP_S):.3f}"} if piece.first_frame else {}
    stream = source(plan, bench, **seek)[str(wanted.stream)]
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
    return to_sdr(stream) if wanted.tonemap else stream


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
