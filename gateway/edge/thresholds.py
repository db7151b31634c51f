"""Thresholds: when a session counts as shared, as shared/settings.py says it."""

from __future__ import annotations

import msgspec

from shared.settings import EdgeSettings


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds, as in shared/settings.py."""

    replays: int = 10
    replay_s: float = 60.0
    active_s: float = 20.0
    prefixes: int = 3
    window_s: float = 10.0
    media_s: float = 720.0
    rate: float = 3.0
    segment_s: float = 4.0
    soft_weight: float = 2.0


def limits_of(settings: EdgeSettings) -> Limits:
    """The thresholds of an edge."""
    return Limits(
        replays=settings.sharing_replays,
        replay_s=settings.sharing_replay_s,
        active_s=settings.sharing_active_s,
        prefixes=settings.sharing_prefixes,
        window_s=settings.sharing_window_s,
        media_s=settings.sharing_media_s,
        rate=settings.sharing_rate,
        segment_s=settings.segment_s,
        soft_weight=settings.sharing_soft_weight,
    )
