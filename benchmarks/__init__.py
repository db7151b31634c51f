"""Benches: what Usher costs beside what else one might run, both sides in one run, interleaved, the bytes checked."""
