"""What at least two of edge, control, worker and farm must agree on; starts nothing."""
