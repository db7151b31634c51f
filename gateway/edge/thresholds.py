"""Thresholds: when a session counts as shared, as shared/settings.py says it."""

from __future__ import annotations

import msgspec

from shared.settings import EdgeSettings


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """The thresholds. What each of them means, and what it is where nobody says, stands in shared/settings.py."""

    replays: int
    replay_s: float
    active_s: float
    prefixes: int
    window_s: float
    media_s: float
    rate: float
    segment_s: float
    soft_weight: float


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
