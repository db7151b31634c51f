"""Checkout: what is bought, how it is paid for and shared out, and how it is taken back."""
