"""The farm as operators see it: workers, what waits and runs, jobs piece by piece, and which worker is to rest."""
