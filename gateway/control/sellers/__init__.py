"""Sellers: who titles and balances belong to."""
