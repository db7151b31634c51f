"""Coupons: codes of sellers that lower a price."""
