"""Payouts: runs in which sellers' withdrawals are paid, by a provider or by somebody at the bank."""
