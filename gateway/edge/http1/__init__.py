"""HTTP/1.1 in cleartext, spoken on the loop's own sockets: what nearly all segments go out by (decision 0013)."""
