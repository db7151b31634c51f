-- Statements: what was posted for a seller, and in a month, found without reading the rest.

-- An account between two moments; what statements add up stands in the index.
create index posting_account_at on posting (account, at) include (legal_entity, amount);
create index posting_seller on posting (seller, at) where seller is not null;
-- Postings lie in the order of their time, so a few bytes for each stretch of them are enough.
create index posting_at on posting using brin (at) with (pages_per_range = 16);
create index ledger_account_external on ledger_account (split_part(code, ':', 3)) where kind = 'external';
-- Not of the balance, so that a row that changes stays where it is.
create index ledger_account_sellers on ledger_account (kind)
    where kind in ('earnings_pending', 'earnings', 'payout_in_transit', 'receivable');

-- The accounts of a seller; what a rail paid the seller at once lies on one of each rail.
create function seller_accounts(p_seller text) returns table (id bigint, kind text) language sql stable as $$
    select a.id, a.kind from ledger_account a where a.code = any(array[
        'earnings_pending:' || p_seller, 'earnings:' || p_seller, 'payout_in_transit:' || p_seller,
        'receivable:' || p_seller])
    union all
    select a.id, a.kind from ledger_account a where a.kind = 'external' and split_part(a.code, ':', 3) = p_seller
$$;
