"""`make bench-edge`: the edge beside nginx, in CPU time of all server processes per request."""
