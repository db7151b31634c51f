"""Payments by card: providers behind one protocol, and what they tell us afterwards."""
