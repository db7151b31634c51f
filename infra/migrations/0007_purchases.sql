-- Purchases and top-ups, how they are shared out, what was given back, and how sellers take their earnings out.

-- Who gets a share of what the platform's fee leaves of a title's sales, besides its seller.
create table title_partner (
    title    text not null references title,
    seller   text not null references seller,
    share_bp integer not null check (share_bp between 1 and 10000),
    primary key (title, seller)
);
create index title_partner_seller on title_partner (seller);

-- Something that is paid for: a scope for its viewer, or money onto a wallet. `viewer` differs from who pays when it is
-- a gift. `rail` is the wallet or a provider. `refunded` and `disputed` are taken back so far, `rail_fee` is what the
-- rail kept, `booked` counts its movements. Its provider is asked about it at `look_at`. Earnings are pending until
-- `settle_at`.
create table purchase (
    id            text primary key,
    key           text not null unique,
    kind          text not null check (kind in ('title', 'top_up')),
    principal     text not null references principal,
    viewer        text not null references principal,
    scope         text references title,
    title         text references title,
    seller        text references seller,
    offer         text references offer,
    offer_version integer,
    coupon        text references coupon,
    referrer      text references principal,
    amount        numeric(39,0) not null check (amount >= 0),
    currency      text not null references asset,
    rail          text not null check (rail ~ '^[a-z][a-z0-9_]*$'),
    state         text not null default 'new'
                  check (state in ('new', 'authorized', 'paid', 'refunded', 'disputed', 'failed', 'expired')),
    provider_ref  text,
    url           text not null default '',
    words         text not null default '',
    return_url    text not null default '',
    legal_entity  text not null,
    fee_bp        integer not null check (fee_bp between 0 and 10000),
    seller_account text not null default '',
    rail_fee      numeric(39,0) not null default 0 check (rail_fee >= 0),
    refunded      numeric(39,0) not null default 0 check (refunded >= 0),
    disputed      numeric(39,0) not null default 0 check (disputed >= 0),
    txn           bigint references txn,
    booked        integer not null default 0,
    created_at    timestamptz not null,
    expires_at    timestamptz not null,
    look_at       timestamptz,
    paid_at       timestamptz,
    settle_at     timestamptz,
    settled_at    timestamptz,
    check ((kind = 'title') = (scope is not null and seller is not null and offer is not null)),
    check ((paid_at is null) = (state in ('new', 'authorized', 'failed', 'expired'))),
    unique (rail, provider_ref)
);
-- One open purchase a viewer and scope: a second click finds the first.
create unique index purchase_open on purchase (viewer, scope) where state in ('new', 'authorized') and scope is not null;
create index purchase_look on purchase (look_at) where look_at is not null;
create index purchase_settle on purchase (settle_at) where settle_at is not null and settled_at is null;
create index purchase_principal on purchase (principal, created_at desc, id desc);
create index purchase_seller on purchase (seller, created_at desc, id desc) where seller is not null;

-- What each got of a payment, and what of it was taken back.
create table purchase_part (
    purchase text not null references purchase,
    n        integer not null,
    kind     text not null check (kind in ('fee', 'earnings', 'external', 'wallet')),
    holder   text not null,
    amount   numeric(39,0) not null check (amount >= 0),
    back     numeric(39,0) not null default 0 check (back between 0 and amount),
    primary key (purchase, n)
);

-- Money given back. What came by a provider is `asked` until the provider has done it; `failed` needs a person.
create table refund (
    id          text primary key,
    purchase    text not null references purchase,
    amount      numeric(39,0) not null check (amount > 0),
    currency    text not null references asset,
    reason      text not null,
    actor       text not null,
    state       text not null check (state in ('asked', 'done', 'failed')),
    words       text not null default '',
    txn         bigint not null references txn,
    created_at  timestamptz not null,
    next_try_at timestamptz not null,
    tries       integer not null default 0,
    done_at     timestamptz
);
create index refund_purchase on refund (purchase, created_at);
create index refund_asked on refund (next_try_at) where state = 'asked';

-- What somebody paid or got, as they are shown it; below zero what they paid. `other` is who got or gave a transfer.
create table payment (
    id        bigint generated always as identity primary key,
    principal text not null references principal,
    kind      text not null check (kind in ('purchase', 'top_up', 'refund', 'dispute', 'sent', 'received')),
    amount    numeric(39,0) not null,
    currency  text not null references asset,
    rail      text not null,
    purchase  text references purchase,
    title     text references title,
    other     text references principal,
    txn       bigint references txn,
    at        timestamptz not null
);
create index payment_principal on payment (principal, id desc);

-- On which terms a rail pays sellers out: the smallest amount, days it waits, and up to which amount nobody is asked.
create table payout_policy (
    rail       text not null check (rail ~ '^[a-z][a-z0-9_]*$'),
    currency   text not null references asset,
    minimum    numeric(39,0) not null check (minimum > 0),
    hold_days  integer not null check (hold_days between 0 and 365),
    auto_up_to numeric(39,0) not null check (auto_up_to >= 0),
    updated_at timestamptz not null,
    primary key (rail, currency)
);

-- Earnings on their way out. The amount lies on `payout_in_transit` until it is paid, or returned.
create table withdrawal (
    id         text primary key,
    key        text not null unique,
    seller     text not null references seller,
    principal  text not null references principal,
    amount     numeric(39,0) not null check (amount > 0),
    currency   text not null references asset,
    rail       text not null,
    state      text not null check (state in ('requested', 'approved', 'paid', 'rejected')),
    due_at     timestamptz not null,
    reason     text not null default '',
    rail_ref   text not null default '',
    decided_by text not null default '',
    created_at timestamptz not null,
    decided_at timestamptz,
    paid_at    timestamptz
);
create index withdrawal_seller on withdrawal (seller, created_at desc, id desc);
create index withdrawal_open on withdrawal (created_at, id) where state in ('requested', 'approved');
create index withdrawal_due on withdrawal (due_at) where state = 'approved';

-- In which currency somebody wants amounts told besides their own.
create table money_shown (
    principal text primary key references principal on delete cascade,
    currency  text not null references asset
);
