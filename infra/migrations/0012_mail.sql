-- Mail is a row before it is sent. Whose address it goes to is asked of the account when it is: no address stands here.
create table mail (
    id         text primary key,
    key        text not null unique,
    kind       text not null,
    principal  text not null references principal,
    data       jsonb not null,
    state      text not null check (state in ('waiting', 'sent', 'dead')),
    attempts   integer not null default 0,
    due_at     timestamptz,
    words      text not null default '',
    created_at timestamptz not null,
    done_at    timestamptz,
    check ((state = 'waiting') = (due_at is not null)),
    check ((state = 'waiting') = (done_at is null))
);
create index mail_due on mail (due_at) where due_at is not null;
create index mail_done on mail (done_at) where done_at is not null;
create index mail_principal on mail (principal, created_at);
