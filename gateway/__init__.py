"""Everything that answers HTTP: the edge, the control plane and the pages."""
