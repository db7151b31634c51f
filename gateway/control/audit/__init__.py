"""The audit trail: who did what, before and after, from where and when; nothing of it ever changes."""
