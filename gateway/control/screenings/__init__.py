"""Screenings: from a right to watch to a playback token."""
