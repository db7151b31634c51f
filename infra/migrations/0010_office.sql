-- What those who run the platform look at: the audit trail, accounts, titles, payments and refunds of everybody.

-- Nothing that was recorded changes or goes.
drop trigger audit_append_only on audit;
create trigger audit_append_only before update or delete or truncate on audit
    for each statement execute function append_only();
revoke update, delete, truncate on audit from public, current_user;

-- The trail is read by time, whole or of one actor, action or object.
drop index audit_object;
drop index audit_actor;
create index audit_at on audit (at, seq);
create index audit_actor on audit (actor, at, seq);
create index audit_action on audit (action, at, seq);
create index audit_object on audit (object, at, seq);

-- Whom the platform shuts out: nothing is theirs any less, but they cannot log in.
alter table principal
    add column disabled_at timestamptz,
    add column disabled_reason text not null default '';

-- Names by their first letters, whatever the database sorts by.
create index account_name on account (username_folded collate "C");

create index title_made on title (created_at desc, id desc);
create index title_state on title (state, created_at desc, id desc);
create index title_taken_down on title (created_at desc, id desc) where taken_down_at is not null;

create index purchase_at on purchase (created_at desc, id desc);
create index purchase_title on purchase (title, created_at desc, id desc) where title is not null;
create index purchase_not_paid on purchase (state, created_at desc, id desc) where state <> 'paid';
create index refund_at on refund (created_at desc, id desc);
create index refund_not_done on refund (state, created_at desc, id desc) where state <> 'done';
