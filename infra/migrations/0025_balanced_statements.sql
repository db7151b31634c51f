-- Every statement that posts must add up, in each movement and asset; before, each posting had its movement added up at
-- the commit. What was posted does not change, so movements add up as well as before, and one look is enough for all.
drop trigger posting_balanced on posting;
create or replace function posting_balanced() returns trigger language plpgsql as $$
declare
    v_wrong record;
begin
    select txn, asset into v_wrong from posted group by txn, asset having sum(amount) <> 0 order by txn, asset limit 1;
    if found then
        raise exception 'txn % does not add up to zero in %', v_wrong.txn, v_wrong.asset using errcode = 'US001';
    end if;
    return null;
end $$;
create trigger posting_balanced after insert on posting referencing new table as posted
    for each statement execute function posting_balanced();
