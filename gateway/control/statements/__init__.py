"""Statements: what sellers earned, by day, title and month, and the platform's month, as the ledger has it."""
