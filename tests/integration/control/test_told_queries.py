"""Queries of webhooks and mail at scale: each finds its rows by an index."""

from __future__ import annotations

from gateway.control.mail import store as mail
from gateway.control.webhooks import store as webhooks
from tests.support.plans import all_scans, filling, queries

#: 3,000 endpoints of 1,500 sellers, 40,000 deliveries and as many mails, nearly all of them done with.
FILL = """
insert into seller (id, name, handle, handle_folded)
    select 'slr_' || n, 'x', 'h' || n, 'h' || n from generate_series(1, 1500) n;
insert into webhook_endpoint (id, seller, url, types, secret, created_at, due_at, failing_since)
    select 'whe_' || n, case when n > 5 then 'slr_' || (1 + n % 1500) end, 'https://x.example', '{}', 's', now(),
        case when n % 100 = 0 then now() end, case when n % 200 = 0 then now() end
    from generate_series(1, 3000) n;
insert into webhook_delivery (id, endpoint, event, type, body, state, due_at, created_at, done_at)
    select 'msg_' || n, 'whe_' || (1 + n % 3000), 'evt_' || n, 'purchase', '{}',
        case when n % 500 = 0 then 'waiting' when n % 501 = 0 then 'dead' else 'sent' end,
        case when n % 500 = 0 then now() end, now() - n * interval '1 s',
        case when n % 500 <> 0 then now() - n * interval '1 minute' end
    from generate_series(1, 40000) n;
insert into principal (id, kind, sub) select 'usr_' || n, 'registered', 'sub_' || n from generate_series(1, 2000) n;
insert into mail (id, key, kind, principal, data, state, due_at, created_at, done_at)
    select 'mail_' || n, 'k' || n, 'receipt', 'usr_' || (1 + n % 2000), '{}',
        case when n % 500 = 0 then 'waiting' else 'sent' end, case when n % 500 = 0 then now() end, now(),
        case when n % 500 <> 0 then now() - n * interval '1 minute' end
    from generate_series(1, 40000) n;
"""
QUERIES = queries(webhooks, mail, but=("webhooks.ENDPOINT", "webhooks.DELIVERY"))
#: The command line lists all endpoints.
WHOLE = {"webhooks.STANDINGS": {"webhook_endpoint"}}


async def test_every_query_finds_its_rows_by_an_index(database_url: str) -> None:
    assert len(QUERIES) >= 26
    async with filling(database_url, FILL) as filled:
        assert await all_scans(filled, QUERIES) == WHOLE
