-- What of the amounts that payers' banks took back is decided for good.
alter table provider_charge add column lost numeric(39,0) not null default 0 check (lost between 0 and disputed);
