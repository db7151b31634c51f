-- Money: what it is counted in, whose it is, and every movement of it. Rows of the ledger are written by the functions
-- below alone. Amounts are whole smallest units of an asset, and positive where what the account is owed grows.

create table asset (
    code     text primary key check (code ~ '^[A-Z]{3,5}$'),
    decimals integer not null check (decimals between 0 and 18),
    kind     text not null check (kind in ('fiat', 'token', 'chain'))
);
insert into asset (code, decimals, kind) values
    ('AUD', 2, 'fiat'), ('BRL', 2, 'fiat'), ('CAD', 2, 'fiat'), ('CHF', 2, 'fiat'), ('CNY', 2, 'fiat'),
    ('CZK', 2, 'fiat'), ('DKK', 2, 'fiat'), ('EUR', 2, 'fiat'), ('GBP', 2, 'fiat'), ('HKD', 2, 'fiat'),
    ('IDR', 2, 'fiat'), ('ILS', 2, 'fiat'), ('INR', 2, 'fiat'), ('MXN', 2, 'fiat'), ('MYR', 2, 'fiat'),
    ('NOK', 2, 'fiat'), ('NZD', 2, 'fiat'), ('PHP', 2, 'fiat'), ('PLN', 2, 'fiat'), ('RON', 2, 'fiat'),
    ('SEK', 2, 'fiat'), ('SGD', 2, 'fiat'), ('THB', 2, 'fiat'), ('TRY', 2, 'fiat'), ('USD', 2, 'fiat'),
    ('ZAR', 2, 'fiat'), ('CLP', 0, 'fiat'), ('JPY', 0, 'fiat'), ('KRW', 0, 'fiat'), ('VND', 0, 'fiat'),
    ('BHD', 3, 'fiat'), ('KWD', 3, 'fiat'), ('OMR', 3, 'fiat'), ('TND', 3, 'fiat'),
    ('USDC', 6, 'chain'), ('BONUS', 0, 'token'), ('PAID', 0, 'token');

-- The first word of an account's code. `cached`: its balance is kept in the row; without it all who pay would queue for
-- that row, so the balance is the last snapshot and what was posted since. `side`: credit is never below zero, nor below
-- what is held; debit is never above zero.
create table ledger_kind (
    name   text primary key,
    cached boolean not null,
    side   text not null check (side in ('credit', 'debit', 'either')),
    check (cached or side = 'either')
);
insert into ledger_kind (name, cached, side) values
    ('wallet', true, 'credit'),
    ('earnings_pending', true, 'credit'),
    ('earnings', true, 'credit'),
    ('payout_in_transit', true, 'credit'),
    ('receivable', true, 'debit'),
    ('platform_fee', false, 'either'),
    ('cash', false, 'either'),
    ('rail_fee', false, 'either'),
    ('external', false, 'either'),
    ('giftcards', false, 'either'),
    ('promotions', false, 'either'),
    ('tax', false, 'either'),
    ('refunds_clearing', false, 'either');

create table ledger_account (
    id         bigint generated always as identity primary key,
    code       text not null check (code ~ '^[a-z_]+(:[A-Za-z0-9_-]+)*$' and length(code) <= 200),
    asset      text not null references asset,
    kind       text not null references ledger_kind,
    cached     boolean not null,
    side       text not null,
    balance    numeric(39,0) not null default 0,
    held       numeric(39,0) not null default 0 check (held >= 0),
    created_at timestamptz not null default now(),
    unique (code, asset),
    unique (id, asset),
    constraint ledger_account_covered check (
        case side when 'credit' then balance >= held when 'debit' then balance <= 0 and held = 0 else held = 0 end)
) with (fillfactor = 80);
create index ledger_account_summed on ledger_account (id) where not cached;

-- One movement: its key makes it happen once, the hash says whether a second request with that key is the same one.
create table txn (
    id       bigint generated always as identity primary key,
    key      text not null unique check (length(key) between 1 and 300),
    hash     bytea not null,
    kind     text not null,
    reverses bigint references txn,
    at       timestamptz not null default now()
);
create index txn_reverses on txn (reverses) where reverses is not null;

create table posting (
    id            bigint generated always as identity primary key,
    txn           bigint not null references txn,
    account       bigint not null,
    asset         text not null,
    amount        numeric(39,0) not null check (amount <> 0),
    at            timestamptz not null default now(),
    seller        text,
    scope         text,
    model         text check (model in ('tvod', 'metered', 'tip', 'svod', 'avod', 'token')),
    legal_entity  text,
    fee_bp        integer check (fee_bp between 0 and 10000),
    value_version integer,
    provider_ref  text,
    foreign key (account, asset) references ledger_account (id, asset)
);
create index posting_account on posting (account, id);
create index posting_txn on posting (txn);

-- The balance of an account that is not cached, after the posting named here.
create table snapshot (
    account bigint not null references ledger_account,
    posting bigint not null,
    balance numeric(39,0) not null,
    at      timestamptz not null default now(),
    primary key (account, posting)
);

-- An amount set aside: open, then captured, voided or expired, once.
create table hold (
    id         text primary key,
    key        text not null unique check (length(key) between 1 and 300),
    hash       bytea not null,
    account    bigint not null references ledger_account,
    amount     numeric(39,0) not null check (amount > 0),
    captured   numeric(39,0) not null default 0 check (captured between 0 and amount),
    state      text not null default 'open' check (state in ('open', 'captured', 'voided', 'expired')),
    txn        bigint references txn,
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    closed_at  timestamptz,
    check ((state = 'captured') = (txn is not null) and (state = 'captured') = (captured > 0))
);
create index hold_expiry on hold (expires_at) where state = 'open';
create index hold_open on hold (account) where state = 'open';

-- Requests that write value, by the key their sender gave them, and what was answered. `attempt`: who is at it.
create table idempotency (
    principal  text not null references principal on delete cascade,
    key        text not null,
    route      text not null,
    hash       bytea not null,
    attempt    text not null,
    state      text not null default 'in_flight' check (state in ('in_flight', 'done')),
    status     integer,
    media_type text,
    body       bytea,
    at         timestamptz not null,
    primary key (principal, key, route)
);
create index idempotency_at on idempotency (at);

-- Commits that notify wait for each other, disk and all, so that they are heard of in order. Events are in no such
-- hurry: the relay finds them when it looks next.
drop trigger outbox_wake on outbox;
create trigger outbox_wake after insert on outbox for each row when (new.topic <> 'event')
    execute function outbox_notify();

-- Nothing that was posted changes. The grants stay where Postgres itself locks rows for foreign keys.
create trigger posting_append_only before update or delete or truncate on posting
    for each statement execute function append_only();
create trigger txn_append_only before update or delete or truncate on txn
    for each statement execute function append_only();
create trigger snapshot_append_only before update or delete or truncate on snapshot
    for each statement execute function append_only();
create trigger ledger_account_stays before delete or truncate on ledger_account
    for each statement execute function append_only();
revoke update, delete, truncate on posting, snapshot from public, current_user;
revoke delete, truncate on txn, ledger_account from public, current_user;

create function posting_balanced() returns trigger language plpgsql as $$
begin
    if (select sum(amount) from posting where txn = new.txn and asset = new.asset) <> 0 then
        raise exception 'txn % does not add up to zero in %', new.txn, new.asset using errcode = 'US001';
    end if;
    return null;
end $$;
create constraint trigger posting_balanced after insert on posting deferrable initially deferred
    for each row execute function posting_balanced();

-- The ids of accounts by code and asset, in that order; those that are new are opened.
create function ledger_accounts(p_codes text[], p_assets text[]) returns bigint[] language plpgsql as $$
declare
    v_ids bigint[];
begin
    for v_try in 1..2 loop
        select array_agg(a.id order by leg.n) into v_ids
        from unnest(p_codes, p_assets) with ordinality leg(code, asset, n)
        left join ledger_account a on a.code = leg.code and a.asset = leg.asset;
        if array_position(v_ids, null) is null then
            return v_ids;
        end if;
        insert into ledger_account (code, asset, kind, cached, side)
        select distinct leg.code, asset.code, kind.name, kind.cached, kind.side
        from unnest(p_codes, p_assets) leg(code, asset)
        join ledger_kind kind on kind.name = split_part(leg.code, ':', 1)
        join asset on asset.code = leg.asset
        where not exists (select from ledger_account a where a.code = leg.code and a.asset = leg.asset)
        order by leg.code, asset.code
        on conflict (code, asset) do nothing;
    end loop;
    raise exception 'no such kind of account, or no such asset: % %', p_codes, p_assets using errcode = 'US404';
end $$;

-- One movement, once: a second call with its key gives the first one's id. Raises US001 (does not add up to zero),
-- US404 (no such kind or asset), US409 (not enough there), US422 (the key is another movement's).
create function ledger_post(
    p_key text, p_hash bytea, p_kind text, p_stamps jsonb, p_codes text[], p_assets text[], p_amounts numeric[],
    p_reverses bigint, p_events jsonb, out booked bigint, out replayed boolean
) language plpgsql as $$
declare
    v_known record;
    v_ids bigint[];
    v_account ledger_account;
    v_delta numeric;
begin
    insert into txn (key, hash, kind, reverses) values (p_key, p_hash, p_kind, p_reverses)
    on conflict (key) do nothing returning id into booked;
    if booked is null then
        select id, hash into v_known from txn where key = p_key;
        if v_known.hash <> p_hash then
            raise exception 'the key is that of txn %', v_known.id using errcode = 'US422';
        end if;
        booked := v_known.id;
        replayed := true;
        return;
    end if;
    replayed := false;
    if exists (select from unnest(p_assets, p_amounts) leg(asset, amount) group by asset having sum(amount) <> 0)
        or not exists (select from unnest(p_amounts) leg(amount) where amount <> 0)
    then
        raise exception 'the legs of % do not add up to zero', p_kind using errcode = 'US001';
    end if;
    v_ids := ledger_accounts(p_codes, p_assets);
    for v_account in
        select * from ledger_account where id = any(v_ids) and cached order by id for no key update
    loop
        v_delta := (select sum(amount) from unnest(v_ids, p_amounts) leg(id, amount) where leg.id = v_account.id);
        if v_account.side = 'credit' and v_account.balance + v_delta < v_account.held
            or v_account.side = 'debit' and v_account.balance + v_delta > 0
        then
            raise exception '% %', v_account.code, v_account.asset using errcode = 'US409';
        end if;
        update ledger_account set balance = balance + v_delta where id = v_account.id;
    end loop;
    insert into posting (
        txn, account, asset, amount, seller, scope, model, legal_entity, fee_bp, value_version, provider_ref)
    select booked, leg.id, leg.asset, leg.amount, p_stamps ->> 'seller', p_stamps ->> 'scope', p_stamps ->> 'model',
        p_stamps ->> 'legal_entity', (p_stamps ->> 'fee_bp')::integer, (p_stamps ->> 'value_version')::integer,
        p_stamps ->> 'provider_ref'
    from unnest(v_ids, p_assets, p_amounts) with ordinality leg(id, asset, amount, n)
    where leg.amount <> 0 order by leg.n;
    insert into outbox (id, topic, type, subject, data)
    select event ->> 'id', 'event', event ->> 'type', coalesce(event ->> 'subject', booked::text),
        event -> 'data' || jsonb_build_object('txn', booked)
    from jsonb_array_elements(p_events) event;
end $$;

-- Set an amount aside on an account that is never below zero. A second call with its key gives the first one's id.
create function ledger_hold(
    p_id text, p_key text, p_hash bytea, p_code text, p_asset text, p_amount numeric, p_expires_at timestamptz,
    out opened text, out replayed boolean
) language plpgsql as $$
declare
    v_known record;
    v_account ledger_account;
begin
    insert into hold (id, key, hash, account, amount, expires_at)
    values (p_id, p_key, p_hash, (ledger_accounts(array[p_code], array[p_asset]))[1], p_amount, p_expires_at)
    on conflict (key) do nothing returning id into opened;
    if opened is null then
        select id, hash into v_known from hold where key = p_key;
        if v_known.hash <> p_hash then
            raise exception 'the key is that of hold %', v_known.id using errcode = 'US422';
        end if;
        opened := v_known.id;
        replayed := true;
        return;
    end if;
    replayed := false;
    select * into v_account from ledger_account where code = p_code and asset = p_asset for no key update;
    if v_account.side <> 'credit' then
        raise exception 'nothing can be held on %', p_code using errcode = 'US404';
    end if;
    if v_account.balance - v_account.held < p_amount then
        raise exception '% %', p_code, p_asset using errcode = 'US409';
    end if;
    update ledger_account set held = held + p_amount where id = v_account.id;
end $$;

-- The movement that a hold was for: its legs take some or all of the hold from its account, the rest is free again.
-- Raises as ledger_post does, US410 for a hold that is closed or over, US001 for more than was held.
create function ledger_capture(
    p_hold text, p_now timestamptz, p_key text, p_hash bytea, p_kind text, p_stamps jsonb, p_codes text[],
    p_assets text[], p_amounts numeric[], p_events jsonb, out booked bigint, out replayed boolean
) language plpgsql as $$
declare
    v_hold hold;
    v_ids bigint[];
    v_taken numeric;
begin
    select * into v_hold from hold where id = p_hold for update;
    if not found then
        raise exception 'no hold %', p_hold using errcode = 'US404';
    end if;
    if v_hold.state = 'captured' and exists (select from txn where id = v_hold.txn and key = p_key) then
        select post.booked, post.replayed into booked, replayed
        from ledger_post(p_key, p_hash, p_kind, p_stamps, p_codes, p_assets, p_amounts, null, p_events) post;
        return;
    end if;
    if v_hold.state <> 'open' or v_hold.expires_at <= p_now then
        raise exception '%', case v_hold.state when 'open' then 'expired' else v_hold.state end
            using errcode = 'US410';
    end if;
    v_ids := ledger_accounts(p_codes, p_assets);
    v_taken := (select -sum(amount) from unnest(v_ids, p_amounts) leg(id, amount) where leg.id = v_hold.account);
    if v_taken is null or v_taken <= 0 or v_taken > v_hold.amount then
        raise exception '% of the % held by %', v_taken, v_hold.amount, p_hold using errcode = 'US001';
    end if;
    perform from ledger_account where id = any(v_ids) and cached order by id for no key update;
    update ledger_account set held = held - v_hold.amount where id = v_hold.account;
    select post.booked, post.replayed into booked, replayed
    from ledger_post(p_key, p_hash, p_kind, p_stamps, p_codes, p_assets, p_amounts, null, p_events) post;
    if replayed then
        raise exception 'the key is that of txn %', booked using errcode = 'US422';
    end if;
    update hold set state = 'captured', captured = v_taken, txn = booked, closed_at = p_now where id = p_hold;
end $$;

-- Free what a hold set aside; false when that was done before. Raises US404, US410 when it was captured or expired.
create function ledger_void(p_hold text, p_now timestamptz) returns boolean language plpgsql as $$
declare
    v_hold hold;
begin
    select * into v_hold from hold where id = p_hold for update;
    if not found then
        raise exception 'no hold %', p_hold using errcode = 'US404';
    end if;
    if v_hold.state = 'voided' then
        return false;
    end if;
    if v_hold.state <> 'open' then
        raise exception '%', v_hold.state using errcode = 'US410';
    end if;
    update ledger_account set held = held - v_hold.amount where id = v_hold.account;
    update hold set state = 'voided', closed_at = p_now where id = p_hold;
    return true;
end $$;

-- Free what holds that are over set aside, those that nobody else is at; how many.
create function ledger_expire(p_now timestamptz, p_limit integer) returns integer language plpgsql as $$
declare
    v_over text[];
    v_freed record;
begin
    select array_agg(id) into v_over from (
        select id from hold where state = 'open' and expires_at <= p_now
        order by expires_at limit p_limit for update skip locked
    ) found;
    for v_freed in
        select account, sum(amount) as amount from hold where id = any(v_over) group by account order by account
    loop
        update ledger_account set held = held - v_freed.amount where id = v_freed.account;
    end loop;
    update hold set state = 'expired', closed_at = p_now where id = any(v_over);
    return coalesce(cardinality(v_over), 0);
end $$;
