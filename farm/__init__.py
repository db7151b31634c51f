"""Everything that burns CPU and GPU: a master becomes adaptive HLS."""
