"""The local supervisor: everything Usher needs on one machine, started in order and never left behind."""
