"""Hybrid: a CUDA card decodes and scales, x264 encodes; for cards without an encoder unit (A100, H100, H200)."""

from __future__ import annotations

from farm.encoders.base import Encoder
from farm.encoders.x264 import X264
from shared.jobs import GPU_QUEUE

HYBRID = Encoder("hybrid", GPU_QUEUE, X264.makers, card=True)
