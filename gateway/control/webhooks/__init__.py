"""Webhooks out: sellers and the platform are told of purchases, refunds, titles and payouts at addresses of theirs."""
