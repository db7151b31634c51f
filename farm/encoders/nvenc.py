"""NVENC: the encoder unit of NVIDIA cards (L4, A10, T4, RTX; H100 and H200 have none)."""

from __future__ import annotations

from farm.encoders import svtav1
from farm.encoders.base import Encoder, Options, capped, gop, levelled
from farm.grid import Grid
from shared.jobs import GPU_QUEUE
from shared.ladder import Codec, Rendition


def options(rendition: Rendition, grid: Grid) -> Options:
    """Constant quality under a cap. `keyint_min` means nothing to a hardware encoder: keyframes are forced."""
    every = {key: value for key, value in gop(grid).items() if key != "keyint_min"}
    return {
        "vcodec": "h264_nvenc",
        "preset": "p5",
        "tune": "hq",
        "profile:v": "high",
        "rc": "vbr",
        "cq": rendition.crf + 1,
        "b:v": 0,
        "multipass": "qres",
        "spatial-aq": 1,
        "rc-lookahead": 20,
        "bf": 3,
        "b_ref_mode": "middle",
        "forced-idr": 1,
        "strict_gop": 1,
        "no-scenecut": 1,
        "force_key_frames": f"expr:eq(mod(n,{grid.segment_frames}),0)",
        **every,
        **capped(rendition),
        **levelled(rendition),
    }


NVENC = Encoder(
    "nvenc", GPU_QUEUE, {"h264": options, "av1": svtav1.options}, card=True, on_card=frozenset[Codec]({"h264"})
)
