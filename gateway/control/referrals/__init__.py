"""Referrals: codes of people who bring buyers and get a part of the platform's fee."""
