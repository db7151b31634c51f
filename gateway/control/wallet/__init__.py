"""The wallet: what somebody has and paid, what a seller earned, transfers, and the way out to a bank."""
