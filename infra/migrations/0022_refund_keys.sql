-- Which request asked for a refund: kept for good, where answers to requests are kept for days.

-- None for what was given back before this was kept, or by nobody's request.
alter table refund add column key text unique;
