"""`make load`: players that behave like players, by locust. Nothing here but `players.py` imports locust."""
