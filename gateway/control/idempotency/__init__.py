"""Idempotency: a request that writes value has its effect once, however often it is sent."""
