"""`usher webhooks` against a real Postgres: what it prints, what it sends again, and what it ends with."""

from __future__ import annotations

import msgspec
import pytest

from infra.stack.postgres import Cluster
from tests.integration.infra.conftest import Said
from tests.support.postgres import ask, database, run

FILL = """
insert into seller (id, name, handle, handle_folded) values ('slr_1', 'Studio', 'studio', 'studio');
insert into webhook_endpoint (id, seller, url, types, secret, active, words, created_at) values
    ('whe_1', null, 'https://ours.example/x', '{}', 'whsec_x', true, '', now()),
    ('whe_2', 'slr_1', 'https://theirs.example/x', '{}', 'whsec_x', false, 'It took nothing for 3 days.', now());
insert into webhook_delivery (id, endpoint, event, type, body, state, attempts, words, created_at, done_at)
    select 'msg_' || n, 'whe_' || (1 + n / 4), 'evt_' || n, 'purchase', '{}', 'dead', 9, 'It answered 500.',
        now() - n * interval '1 minute', now()
    from generate_series(1, 5) n;
"""


@pytest.fixture
async def filled(database_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A database with two endpoints, one of them off, and five deliveries that were given up."""
    monkeypatch.setenv("USHER_DATABASE_URL", database_url)
    await run(database_url, FILL)
    return database_url


async def test_endpoints_and_what_was_given_up_are_listed(filled: str, usher: Said) -> None:
    status, out, _ = await usher("webhooks", "list")
    lines = out.splitlines()
    assert status == 0 and lines[1].split() == ["whe_1", "platform", "https://ours.example/x", "on", "0", "3"]
    assert "off. It took nothing for 3 days." in lines[2] and "whsec" not in out
    _, out, _ = await usher("webhooks", "list", "--json")
    assert [one["dead"] for one in msgspec.json.decode(out)] == [3, 2] and "whsec" not in out
    status, out, _ = await usher("webhooks", "dead", "--count", "4")
    assert status == 0 and [line.split()[0] for line in out.splitlines()[1:]] == [f"msg_{n}" for n in range(1, 5)]
    _, out, _ = await usher("webhooks", "dead", "--endpoint", "whe_2", "--json")
    assert [one["id"] for one in msgspec.json.decode(out)] == ["msg_4", "msg_5"]


async def test_deliveries_are_sent_again_and_those_that_cannot_be_are_told(filled: str, usher: Said) -> None:
    status, out, _ = await usher("webhooks", "replay", "--endpoint", "whe_1")
    assert status == 0 and len(out.splitlines()) == 3
    assert await ask(filled, "select count(*) from webhook_delivery where state = 'waiting' and attempts = 0") == 3
    assert await ask(filled, "select count(*) from webhook_endpoint where due_at <= now()") == 1
    status, _, err = await usher("webhooks", "replay", "msg_1", "msg_4", "msg_9")
    assert status == 1 and err.splitlines() == [
        "msg_1: This delivery waits to be sent already.",
        "msg_4: This endpoint is switched off; switch it on first.",
        "msg_9: There is no such delivery.",
    ]
    assert (await usher("webhooks", "replay"))[0] == 2


async def test_database_without_webhooks_gets_words(
    postgres_cluster: Cluster, usher: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database(postgres_cluster, migrated=False) as url:
        monkeypatch.setenv("USHER_DATABASE_URL", url)
        status, _, err = await usher("webhooks", "list")
    assert (status, err.strip()) == (1, "This database has no webhooks yet: run `usher migrate`.")
