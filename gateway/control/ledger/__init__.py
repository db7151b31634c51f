"""The ledger: accounts, what was booked on them, and what is set aside; each unit of money is found here."""
