-- Payout runs, reconciliation of the books with payment providers, and rights that are over.

-- Withdrawals by one rail in one currency that are paid together. By hand there is one a day at most: somebody takes its
-- list to the bank. `closed_at`: each of them is paid, or came back.
create table payout_run (
    id         text primary key,
    rail       text not null,
    currency   text not null references asset,
    by_hand    boolean not null,
    day        date not null,
    created_at timestamptz not null,
    closed_at  timestamptz
);
create unique index payout_run_by_hand on payout_run (rail, currency, day) where by_hand;
create index payout_run_created on payout_run (created_at desc, id desc);
create index payout_run_open on payout_run (created_at) where closed_at is null;

-- `paying`: in a run, so it may have left already. `returned`: the rail could not pay it, and it is available again.
-- A provider is asked at `next_try_at`; `tries` counts its refusals for now, after which it is asked under another key.
alter table withdrawal
    drop constraint withdrawal_state_check,
    add constraint withdrawal_state_check
        check (state in ('requested', 'approved', 'paying', 'paid', 'rejected', 'returned')),
    add column run text references payout_run,
    add column tries integer not null default 0,
    add column next_try_at timestamptz;
drop index withdrawal_open;
create index withdrawal_open on withdrawal (created_at, id) where state in ('requested', 'approved', 'paying');
create index withdrawal_run on withdrawal (run) where run is not null;
create index withdrawal_asked on withdrawal (next_try_at) where next_try_at is not null;
create index withdrawal_paid on withdrawal (paid_at) where paid_at is not null;

-- The books beside what providers say, over a period. `day`: the night's own, one a day; none where somebody asked.
create table recon_report (
    id          text primary key,
    actor       text not null,
    day         date unique,
    since       timestamptz not null,
    until       timestamptz not null check (since < until),
    state       text not null check (state in ('asked', 'done', 'failed')),
    words       text not null default '',
    created_at  timestamptz not null,
    next_try_at timestamptz not null,
    tries       integer not null default 0,
    finished_at timestamptz,
    charges     integer not null default 0,
    purchases   integer not null default 0,
    postings    bigint not null default 0,
    counts      jsonb not null default '{}',
    differences jsonb not null default '[]'
);
create index recon_report_asked on recon_report (next_try_at) where state = 'asked';
create index recon_report_created on recon_report (created_at desc, id desc);
create index recon_report_finished on recon_report (finished_at desc) where state = 'done';
create index posting_provider_ref on posting (provider_ref) where provider_ref is not null;

-- The sandbox lists its payments as other providers do.
alter table sandbox_payment add column created_at timestamptz not null default now();
create index sandbox_payment_created on sandbox_payment (created_at);
create index sandbox_notice_at on sandbox_notice (at);

-- `ended_at`: when a right that does not last was found to be over.
alter table entitlement add column ended_at timestamptz;
create index entitlement_ending on entitlement (ends_at)
    where ends_at is not null and revoked_at is null and ended_at is null;
create index entitlement_linked on entitlement (link_at)
    where link_at is not null and first_play_at is null and revoked_at is null and ended_at is null;
