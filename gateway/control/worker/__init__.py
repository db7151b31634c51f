"""The worker: relays the outbox, takes in what farms and edges say, reaps lost work and sweeps."""
