"""Encoder classes, by name; an unknown name stops the start."""

from __future__ import annotations

from farm.encoders.base import Encoder
from farm.encoders.hybrid import HYBRID
from farm.encoders.nvenc import NVENC
from farm.encoders.x264 import X264
from shared.errors import Misconfigured

ENCODERS: dict[str, Encoder] = {made.name: made for made in (X264, NVENC, HYBRID)}


def encoder(name: str) -> Encoder:
    """The encoder class of that name. Raises Misconfigured."""
    try:
        return ENCODERS[name]
    except KeyError:
        raise Misconfigured(f"there is no encoder {name!r}; there are {', '.join(ENCODERS)}") from None


__all__ = ["ENCODERS", "HYBRID", "NVENC", "X264", "Encoder", "encoder"]
