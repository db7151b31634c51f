"""Gift cards: money that waits for whoever brings its code."""
