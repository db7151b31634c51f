"""Watching: how much of a title each viewer was sent, how far they are, and sums of it."""
