"""The ledger: movements a second with everything on disk, and how long all of it takes to be derived anew."""
