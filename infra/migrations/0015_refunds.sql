-- Refunds of what cost nothing, and what sellers owe of the part that a rail paid out to them.

-- `owed`: of what was taken back, what was taken from what its holder has here, as the rail could not take it there.
alter table purchase_part
    add column owed numeric(39,0) not null default 0,
    add constraint purchase_part_owed check (owed between 0 and back);

-- A coupon may have made a purchase free: its right ends, and there is nothing to book.
alter table refund
    drop constraint refund_amount_check,
    alter column txn drop not null,
    add constraint refund_amount_check check (amount > 0 and txn is not null or amount = 0 and txn is null);
