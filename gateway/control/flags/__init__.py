"""Flags: switches with a percentage, seen everywhere within two seconds."""
