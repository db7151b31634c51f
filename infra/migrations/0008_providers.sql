-- What payment providers tell, and the sandbox, which is one of our own.

-- A webhook is a row before it is work. Its body is not kept: it may name payers, and what it says may be out of date
-- by now, so the payment is asked for anew. `due_at`: not before then, after a failure.
create table provider_event (
    source       text not null,
    event_id     text not null,
    kind         text not null check (kind in ('charge', 'account')),
    provider_ref text not null,
    at           timestamptz not null,
    received_at  timestamptz not null,
    due_at       timestamptz not null,
    attempts     integer not null default 0,
    handled_at   timestamptz,
    outcome      text,
    primary key (source, event_id)
);
create index provider_event_due on provider_event (due_at) where handled_at is null;
create index provider_event_handled on provider_event (handled_at) where handled_at is not null;

-- A payment as its provider had it when it was last asked.
create table provider_charge (
    source       text not null,
    provider_ref text not null,
    order_id     text not null,
    state        text not null check (state in ('open', 'authorized', 'paid', 'declined', 'voided')),
    amount       numeric(39,0) not null,
    currency     text not null,
    fee          numeric(39,0) not null,
    fee_currency text not null,
    refunded     numeric(39,0) not null,
    disputed     numeric(39,0) not null,
    words        text not null,
    seen_at      timestamptz not null,
    primary key (source, provider_ref)
);
create index provider_charge_order on provider_charge (order_id);

create table sandbox_payment (
    ref         text primary key,
    order_id    text not null unique,
    hash        bytea not null,
    amount      numeric(39,0) not null check (amount > 0),
    currency    text not null,
    description text not null,
    return_url  text not null,
    hold        boolean not null,
    state       text not null check (state in ('open', 'secure', 'processing', 'authorized', 'paid', 'voided')),
    words       text not null,
    refunded    numeric(39,0) not null check (refunded between 0 and amount),
    disputed    numeric(39,0) not null check (disputed between 0 and amount - refunded),
    due         text not null,
    due_at      timestamptz,
    check ((due = '') = (due_at is null))
);
create index sandbox_payment_due on sandbox_payment (due_at) where due_at is not null;

create table sandbox_refund (
    key    text primary key,
    ref    text not null references sandbox_payment,
    amount numeric(39,0) not null check (amount > 0)
);

create table sandbox_notice (
    id      text primary key,
    ref     text not null references sandbox_payment,
    at      timestamptz not null,
    told_at timestamptz
);
create index sandbox_notice_untold on sandbox_notice (at) where told_at is null;
create index sandbox_notice_told on sandbox_notice (told_at) where told_at is not null;
