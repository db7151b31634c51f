"""People: principals, accounts, logins, devices, resets."""
