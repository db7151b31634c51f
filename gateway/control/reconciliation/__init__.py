"""Reconciliation: the books beside what payment providers say, and what to do where the two differ."""
