"""What accounts reach outside the database: password hashing, mail, counters, checks for bots."""
