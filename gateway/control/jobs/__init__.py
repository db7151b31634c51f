"""Jobs: a master becoming playable, as rows."""
