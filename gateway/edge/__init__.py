"""Playback, the hot path: token, seat, bytes."""
