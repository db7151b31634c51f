-- The same movements with less work: accounts are found by their index alone, and all balances of a movement that are
-- kept change in one statement, after each of their rows is locked and looked at. What is refused, and how, stays.
create or replace function ledger_accounts(p_codes text[], p_assets text[]) returns bigint[] language plpgsql as $$
declare
    v_ids bigint[];
begin
    for v_try in 1..2 loop
        -- A look into the index for each leg; a join may be planned to read all accounts.
        v_ids := array(
            select (select a.id from ledger_account a where a.code = leg.code and a.asset = leg.asset)
            from unnest(p_codes, p_assets) with ordinality leg(code, asset, n) order by leg.n);
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

create or replace function ledger_post(
    p_key text, p_hash bytea, p_kind text, p_stamps jsonb, p_codes text[], p_assets text[], p_amounts numeric[],
    p_reverses bigint, p_events jsonb, out booked bigint, out replayed boolean
) language plpgsql as $$
declare
    v_known record;
    v_ids bigint[];
    v_account record;
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
        select a.code, a.asset, a.side, a.held, a.balance + (
            select sum(leg.amount) from unnest(v_ids, p_amounts) leg(id, amount) where leg.id = a.id
        ) as balance
        from ledger_account a where a.id = any(v_ids) and a.cached order by a.id for no key update
    loop
        if v_account.side = 'credit' and v_account.balance < v_account.held
            or v_account.side = 'debit' and v_account.balance > 0
        then
            raise exception '% %', v_account.code, v_account.asset using errcode = 'US409';
        end if;
    end loop;
    update ledger_account a set balance = a.balance + (
        select sum(leg.amount) from unnest(v_ids, p_amounts) leg(id, amount) where leg.id = a.id
    )
    where a.id = any(v_ids) and a.cached;
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
