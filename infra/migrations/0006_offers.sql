-- What titles are offered for, what lowers a price, and the rights that come of it.

-- A way to get a scope (a title, a season or a series, by its id). What is not active any more stays, for what refers to it.
create table offer (
    id         text primary key,
    scope      text not null references title,
    seller     text not null references seller,
    kind       text not null check (kind in ('free', 'view', 'rent', 'own')),
    hours      integer check (hours in (24, 36, 72)),
    amount     numeric(39,0) not null check (amount between 0 and 1000000000000),
    currency   text not null references asset,
    version    integer not null default 1 check (version > 0),
    starts_at  timestamptz,
    ends_at    timestamptz,
    active     boolean not null default true,
    created_at timestamptz not null,
    check ((kind = 'rent') = (hours is not null)),
    check ((kind = 'free') = (amount = 0)),
    check (ends_at > starts_at)
);
create index offer_scope on offer (scope, created_at);
create index offer_active on offer (scope) where active;

-- A title with the season and the series it lies in: what a right or an offer to it may be for, and whether that has a
-- price.
create view title_scopes as
select t.id, t.seller, array_remove(array[t.id, p.id, g.id], null) as scopes,
       greatest(t.price_minor, p.price_minor, g.price_minor) > 0 as priced
from title t left join title p on p.id = t.parent left join title g on g.id = p.parent;

-- What an offer said, version by version: append-only.
create table offer_version (
    offer     text not null references offer,
    version   integer not null,
    amount    numeric(39,0) not null,
    currency  text not null,
    starts_at timestamptz,
    ends_at   timestamptz,
    active    boolean not null,
    actor     text not null,
    at        timestamptz not null,
    primary key (offer, version)
);
create trigger offer_version_append_only before update or delete or truncate on offer_version
    for each statement execute function append_only();

-- Titles that have a price are offered for good at it.
insert into offer (id, scope, seller, kind, amount, currency, created_at)
select 'off_' || md5(id), id, seller, 'own', price_minor, currency, created_at from title
where price_minor > 0 and currency in (select code from asset);
insert into offer_version (offer, version, amount, currency, active, actor, at)
select id, version, amount, currency, active, 'migration', created_at from offer;

-- What lowers the prices of a seller, of one title or of all. `used` is counted with the row held.
create table coupon (
    id          text primary key,
    seller      text not null references seller,
    scope       text references title,
    code        text not null,
    code_folded text not null,
    kind        text not null check (kind in ('percent', 'amount')),
    bp          integer check (bp between 1 and 10000),
    amount      numeric(39,0) check (amount > 0),
    currency    text references asset,
    uses_max    integer check (uses_max > 0),
    per_viewer  integer not null default 1 check (per_viewer > 0),
    used        integer not null default 0 check (used >= 0),
    starts_at   timestamptz,
    ends_at     timestamptz,
    active      boolean not null default true,
    created_at  timestamptz not null,
    unique (seller, code_folded),
    check ((kind = 'percent') = (bp is not null) and (kind = 'amount') = (amount is not null and currency is not null)),
    check (uses_max is null or used <= uses_max),
    check (ends_at > starts_at)
);
create index coupon_seller on coupon (seller, created_at desc);

-- Which purchase used a coupon, and whose. Gone when the purchase came to nothing.
create table coupon_use (
    purchase  text primary key,
    coupon    text not null references coupon,
    principal text not null references principal on delete cascade,
    at        timestamptz not null
);
create index coupon_use_viewer on coupon_use (coupon, principal);
create index coupon_use_principal on coupon_use (principal);

-- A gift card is money that lies on the account `giftcards` until somebody brings its code, of which the SHA-256 is kept.
create table gift_card (
    id          text primary key,
    code_hash   bytea not null unique,
    hint        text not null,
    amount      numeric(39,0) not null check (amount > 0),
    currency    text not null references asset,
    bought_by   text not null references principal,
    bought_txn  bigint not null references txn,
    created_at  timestamptz not null,
    redeemed_by text references principal,
    redeemed_at timestamptz,
    redeem_txn  bigint references txn,
    check ((redeemed_by is null) = (redeemed_at is null) and (redeemed_by is null) = (redeem_txn is null))
);
create index gift_card_buyer on gift_card (bought_by, created_at desc);

-- By which code somebody brings buyers; the share of the platform's fee is that of the installation.
create table referral (
    principal  text primary key references principal on delete cascade,
    code       text not null unique,
    created_at timestamptz not null
);

-- Whom a seller serves no more: what they own stays theirs and cannot be watched meanwhile.
create table blocked_viewer (
    seller     text not null references seller,
    principal  text not null references principal on delete cascade,
    created_at timestamptz not null,
    primary key (seller, principal)
);
create index blocked_viewer_principal on blocked_viewer (principal);
create index blocked_viewer_seller on blocked_viewer (seller, created_at desc);

-- `term`: a right lasts (own), runs for `span_s` from the first play (rent), or is for one session alone, `sid` (view).
-- What has not begun ends when it may not be begun any more. `link_at`: when the first link to it must have been
-- started, which counts as the first play where no edge tells of one.
alter table entitlement
    add column term text not null default 'own' check (term in ('own', 'rent', 'view')),
    add column span_s integer check (span_s > 0),
    add column link_at timestamptz,
    add column first_play_at timestamptz,
    add column sid text,
    add column given_by text references principal;
alter table entitlement
    add constraint entitlement_term check (
        case term when 'own' then span_s is null and first_play_at is null and sid is null
                  when 'rent' then span_s is not null and ends_at is not null and sid is null
                  else ends_at is not null end);
create index entitlement_giver on entitlement (given_by) where given_by is not null;
