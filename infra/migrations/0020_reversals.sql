-- What a rail is to take back from sellers' own accounts there: written down with what is booked, asked for after that.

-- What of a payment was taken back from the seller's own account, less what of the platform's fee was given back there.
alter table provider_charge add column reversed numeric(39,0) not null default 0 check (reversed >= 0);

-- `asked` until the rail did it; `owed`: it could not, so the seller owes it here.
create table reversal (
    id          text primary key,
    purchase    text not null references purchase,
    amount      numeric(39,0) not null check (amount > 0),
    state       text not null check (state in ('asked', 'done', 'owed')),
    created_at  timestamptz not null,
    next_try_at timestamptz not null,
    tries       integer not null default 0,
    done_at     timestamptz
);
create index reversal_purchase on reversal (purchase);
create index reversal_asked on reversal (next_try_at) where state = 'asked';
