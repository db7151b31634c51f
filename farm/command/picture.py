"""The picture of a chunk: one decode, onto the grid, scaled down rung by rung. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import ffmpeg

from farm.command import hardware
from farm.command.base import Bench, compiled, source, to_sdr
from farm.encoders.base import Encoder
from farm.grid import Grid
from farm.plan import ChunkPlan, Plan, VideoPlan
from shared.ladder import Rendition

#: Each GOP is a fragment; decode times start at zero; offsets of B-frames stay positive (package.py deals with them).
MOVFLAGS = "+frag_keyframe+empty_moov+default_base_moof"
#: A decoder may lose this much at the end of the picture (held as its last frame); more fails the chunk.
LOST_TAIL_S = 2
#: A keyframe's time in microseconds may have been rounded down.
ROUNDED_US = 1
#: The sharpness of a cubic (its C, with B = 0). A picture that is scaled again loses less by a sharper one: as good as
#: from the source, in fewer bytes.
_SHARPNESS, _AGAIN = 0.6, 0.75
#: What players must not see of a master: its tags (places, names), and chapters, which would become a track.
_BARE = {"map_metadata": -1, "map_chapters": -1}


def video(plan: Plan, piece: ChunkPlan, bench: Bench, *, encoder: Encoder) -> list[str]:
    """All renditions of a chunk at once: decoded once, each scaled from the one above, `<rendition>.mp4` each.

    A rendition that is copied takes the master's packets as they are, a fragment for each segment.
    """
    wanted = plan.picture
    on_card = wanted.decode == "cuda"
    opened = _seek(plan, piece) | _threads(bench) | (hardware.SOURCE if on_card else {})
    taken = source(plan, bench, **opened)[str(wanted.stream)]
    outputs = []
    encoded = [rendition for rendition in wanted.renditions if not rendition.copied]
    if encoded:
        shown = _picture(taken, plan, piece)
        pictures = hardware.cascade(shown, encoded, encoder) if on_card else _cascade(shown, encoded, wanted.scaler)
        for rendition, scaled in zip(encoded, pictures, strict=True):
            options = _muxed(wanted.grid) | encoder.options(rendition, wanted.grid)
            if bench.threads:
                options["threads"] = bench.threads
            outputs.append(ffmpeg.output(scaled, _path(bench, rendition), **options))
    copied = [rendition for rendition in wanted.renditions if rendition.copied]
    outputs += [ffmpeg.output(taken, _path(bench, made), **_copied(wanted.grid, piece)) for made in copied]
    return compiled(outputs, bench)


def _threads(bench: Bench) -> dict[str, Any]:
    """Of decoding and scaling; each encoder has as many."""
    return {"threads": bench.threads, "filter_complex_threads": bench.threads} if bench.threads else {}


def _path(bench: Bench, rendition: Rendition) -> str:
    return str(bench.folder / f"{rendition.name}.mp4")


def _muxed(grid: Grid) -> dict[str, Any]:
    """How all renditions are written."""
    return {
        "fflags": "+bitexact",
        "format": "mp4",
        "movflags": MOVFLAGS,
        "use_editlist": 0,
        "video_track_timescale": grid.timescale,
        **_BARE,
    }


def _copied(grid: Grid, piece: ChunkPlan) -> dict[str, Any]:
    """The master's packets; a keyframe within a segment begins no fragment."""
    nearly_s = grid.segment_s - 1 / (2 * grid.rate)
    shortest = {"min_frag_duration": int(nearly_s * 1_000_000)} if grid.segment_frames > 1 else {}
    return _muxed(grid) | {"vcodec": "copy", "vframes": piece.frames, **shortest}


def _seek(plan: Plan, piece: ChunkPlan) -> dict[str, Any]:
    """Where decoding starts, on the file's clock; what comes before the chunk's first frame is decoded and dropped.

    ffmpeg's own cut at that time is off: by -copyts it would be made on another clock.
    """
    at_us = piece.seek_us
    if piece.first_frame and any(rendition.copied for rendition in plan.picture.renditions):
        at_us = plan.origin_us + round(piece.first_frame / plan.picture.grid.rate * 1_000_000)
    if at_us < 0:
        return {}
    return {"seek_timestamp": 1, "noaccurate_seek": None, "ss": f"{(at_us + ROUNDED_US) / 1e6:.6f}"}


def _picture(taken: Any, plan: Plan, piece: ChunkPlan) -> Any:
    """Onto the grid: exactly the chunk's frames, the first at zero, one step apart."""
    wanted = plan.picture
    starts = float(piece.first_frame / wanted.grid.rate)
    stream = _progressive(taken, wanted)
    rate = f"{wanted.grid.rate_num}/{wanted.grid.rate_den}"
    # Ticks are whole: without rounding, one that comes out a hair too small would be the one before.
    stream = stream.filter("setpts", f"round(PTS-{plan.origin_us / 1e6 + starts:.6f}/TB)")
    stream = stream.filter("fps", fps=rate, start_time=0)
    if piece.first_frame + piece.frames == wanted.frames:
        held = float(wanted.hold_frames / wanted.grid.rate) + LOST_TAIL_S
        stream = stream.filter("tpad", stop_mode="clone", stop_duration=f"{held:.3f}")
    stream = stream.filter("trim", end_frame=piece.frames)
    return to_sdr(stream) if wanted.tonemap else stream


def _progressive(taken: Any, wanted: VideoPlan) -> Any:
    """The decoded picture where it will be scaled, of whole frames."""
    if wanted.decode == "cuda":
        return hardware.on_card(taken, deinterlace=wanted.deinterlace)
    return taken.filter("bwdif", mode="send_frame") if wanted.deinterlace else taken


def _cascade(node: Any, wanted: Sequence[Rendition], scaler: str) -> list[Any]:
    """Each rendition's picture, scaled from that of the one above; the first one from the decoded picture."""
    scaled = []
    for position, rendition in enumerate(wanted):
        size = rendition.width, rendition.height
        if position or scaler == "zimg":
            sharpness = _AGAIN if position else _SHARPNESS
            node = node.filter("zscale", *size, filter="bicubic", param_a=0, param_b=sharpness)
        else:
            node = node.filter("scale", *size, flags="bicubic")
        node = node.filter("setsar", 1).filter("format", "yuv420p")
        if position == len(wanted) - 1:
            scaled.append(node)
        else:
            split = node.filter_multi_output("split", 2)
            scaled.append(split[0])
            node = split[1]
    return scaled
