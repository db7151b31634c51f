"""The adapter of webhooks out: the HTTP client that sends them."""
