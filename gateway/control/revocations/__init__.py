"""Revocations: what an admin ends, by session, viewer or title."""
