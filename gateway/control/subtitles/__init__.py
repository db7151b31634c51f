"""Subtitles: files that people send for a title, shown by players in its next edition."""
