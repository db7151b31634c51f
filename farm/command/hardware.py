"""The picture on a CUDA card: decoded, deinterlaced and scaled there; encoded there or brought back. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from farm.encoders.base import Encoder
from shared.ladder import Rendition

#: Options of an input: the card's device, for uploads too; what the card decodes stays there. The frame rate filter
#: holds some pictures, for which the decoder's own pool has no room.
SOURCE: Final[dict[str, Any]] = {
    "init_hw_device": "cuda",
    "hwaccel": "cuda",
    "hwaccel_output_format": "cuda",
    "extra_hw_frames": 8,
}
#: What may be uploaded; the first is a picture that is on the card already.
_UPLOADED: Final = "cuda|nv12|yuv420p"
_SCALE: Final[dict[str, Any]] = {"format": "nv12", "interp_algo": "bicubic", "passthrough": 0}


def on_card(stream: Any, *, deinterlace: bool) -> Any:
    """The decoded picture on the card: what the CPU had to decode is uploaded, the rest passes as it is.

    `hwupload_cuda` would not let it pass.
    """
    stream = stream.filter("format", _UPLOADED).filter("hwupload")
    return stream.filter("yadif_cuda", mode="send_frame") if deinterlace else stream


def cascade(node: Any, wanted: Sequence[Rendition], encoder: Encoder) -> list[Any]:
    """Each rendition's picture, scaled from that of the one above, brought back where the CPU encodes it.

    A picture of the source's own size is copied too: an encoder that looks ahead would keep the decoder's pool empty.
    """
    scaled = []
    for position, rendition in enumerate(wanted):
        node = node.filter("scale_cuda", rendition.width, rendition.height, **_SCALE).filter("setsar", 1)
        if position == len(wanted) - 1:
            scaled.append(_for_encoder(node, rendition, encoder))
        else:
            split = node.filter_multi_output("split", 2)
            scaled.append(_for_encoder(split[0], rendition, encoder))
            node = split[1]
    return scaled


def _for_encoder(node: Any, rendition: Rendition, encoder: Encoder) -> Any:
    """Where its encoder wants it. x264 keeps pictures as nv12 itself; SVT-AV1 takes planes."""
    if rendition.codec in encoder.on_card:
        return node
    node = node.filter("hwdownload").filter("format", "nv12")
    return node if rendition.codec == "h264" else node.filter("format", "yuv420p")
