"""Where a picture is decoded: what NVDEC takes, and what stays with the CPU. Pure."""

from __future__ import annotations

from typing import Final, Literal

from farm.encoders.base import Encoder
from farm.media import Picture

_EIGHT: Final = frozenset({"yuv420p", "yuvj420p", "nv12"})
_TEN: Final = _EIGHT | {"yuv420p10le", "p010le"}
#: Pixel formats by codec that the decoders of all cards since Pascal take.
NVDEC: Final = {"h264": _EIGHT, "hevc": _TEN, "mpeg2video": _EIGHT, "vc1": _EIGHT, "vp8": _EIGHT, "vp9": _TEN}


def decoding(encoder: Encoder, picture: Picture) -> Literal["cpu", "cuda"]:
    """Where the picture is decoded and scaled under an encoder class.

    HDR (tone mapping needs the CPU's filters) and turned pictures stay with the CPU. An encoder unit wants its pictures
    on the card: what the card cannot decode is uploaded. Without one that way would only be a detour.
    """
    if not encoder.card or picture.hdr or picture.rotation % 360:
        return "cpu"
    decoded = picture.pix_fmt in NVDEC.get(picture.codec, frozenset())
    return "cuda" if decoded or encoder.on_card else "cpu"
