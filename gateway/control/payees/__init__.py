"""Payees: sellers' own accounts at payment providers, into which their part of a sale is paid at once."""
