-- A row that can never leave is set aside: relayed_at says when, words say why, and those behind it go on. It is kept.
alter table outbox add column words text;
