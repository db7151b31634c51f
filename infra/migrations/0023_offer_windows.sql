-- When the window of an offer is to be looked at next, for the price that its title is shown with: as it begins, as it
-- ends. Those of before are looked at once.
alter table offer add column due_at timestamptz;
update offer set due_at = coalesce(starts_at, ends_at) where active;
create index offer_due on offer (due_at) where due_at is not null;
