"""Offers: what a title, a season or a series is to be had for."""
