-- Sellers' own accounts at payment providers, as these had them when they were last asked.
create table payee (
    seller      text not null references seller,
    provider    text not null,
    account     text not null,
    can_charge  boolean not null default false,
    can_be_paid boolean not null default false,
    missing     text[] not null default '{}',
    seen_at     timestamptz not null default now(),
    primary key (seller, provider),
    unique (provider, account)
);
