-- Webhooks out: where sellers and the platform are told of things, and each message to each of them.

-- `seller` is null for the platform's own. `due_at` says when something of it may be due, null when nothing waits.
create table webhook_endpoint (
    id            text primary key,
    seller        text references seller,
    url           text not null,
    types         text[] not null,
    secret        text not null,
    old_secret    text,
    old_until     timestamptz,
    active        boolean not null default true,
    words         text not null default '',
    failing_since timestamptz,
    created_at    timestamptz not null,
    due_at        timestamptz,
    check ((old_secret is null) = (old_until is null)),
    check (active or due_at is null)
);
create index webhook_endpoint_seller on webhook_endpoint (seller, created_at);
create index webhook_endpoint_due on webhook_endpoint (due_at) where failing_since is null and due_at is not null;
create index webhook_endpoint_failing on webhook_endpoint (due_at)
    where failing_since is not null and due_at is not null;

create table webhook_delivery (
    id         text primary key,
    endpoint   text not null references webhook_endpoint on delete cascade,
    event      text not null,
    type       text not null,
    body       text not null,
    state      text not null check (state in ('waiting', 'sent', 'dead')),
    attempts   integer not null default 0,
    due_at     timestamptz,
    status     integer not null default 0,
    words      text not null default '',
    created_at timestamptz not null,
    done_at    timestamptz,
    unique (endpoint, event),
    check ((state = 'waiting') = (due_at is not null)),
    check ((state = 'waiting') = (done_at is null))
);
create index webhook_delivery_due on webhook_delivery (endpoint, due_at) where state = 'waiting';
create index webhook_delivery_page on webhook_delivery (endpoint, created_at desc, id desc);
create index webhook_delivery_dead on webhook_delivery (endpoint, created_at desc, id desc) where state = 'dead';
create index webhook_delivery_dead_all on webhook_delivery (created_at desc, id desc) where state = 'dead';
create index webhook_delivery_done on webhook_delivery (done_at) where done_at is not null;
