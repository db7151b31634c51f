"""`usher ledger` against a real Postgres: what it prints, and what it ends with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
import pytest

from gateway.control.ledger.model import Stamps
from infra.stack.postgres import Cluster
from tests.integration.infra.conftest import Said
from tests.support.ledger import Books, movement, open_books
from tests.support.postgres import database


@pytest.fixture
async def books(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Books]:
    """The database that the commands read: a viewer who was funded, bought, and has something held."""
    monkeypatch.setenv("USHER_DATABASE_URL", database_url)
    async with open_books(database_url) as opened:
        await opened.fund(100_000)
        stamps = Stamps(seller="slr_1", scope="ttl_1", model="tvod", fee_bp=1000)
        legs = {"wallet__usr_1": -499, "platform_fee": 49, "earnings_pending__slr_1": 450}
        await opened.post(movement("sale:1", "sale", stamps=stamps, **legs))
        await opened.fund(7, asset="BONUS")
        await opened.hold("1", 250)
        yield opened


async def test_audit_of_sound_books_counts_them(books: Books, usher: Said) -> None:
    status, out, _ = await usher("ledger", "audit")
    assert (status, out.strip()) == (0, "6 accounts, 3 movements, 7 postings: 0 differences.")


async def test_audit_prints_what_differs_and_fails(books: Books, usher: Said) -> None:
    await books.value("update ledger_account set balance = balance + 5 where code = 'wallet:usr_1' and asset = 'USD'")
    status, out, _ = await usher("ledger", "audit")
    line = next(line for line in out.splitlines() if "wallet:usr_1" in line)
    assert status == 1 and line.split() == ["balance", "wallet:usr_1", "995.06", "USD", "995.01", "USD", "0.05", "USD"]
    assert out.splitlines()[-1].endswith("1 difference.")
    status, out, _ = await usher("ledger", "audit", "--json")
    found = msgspec.json.decode(out)
    assert status == 1 and found["postings"] == 7
    assert found["differences"] == [
        {"what": "balance", "where": "wallet:usr_1", "asset": "USD", "kept": 99506, "derived": 99501}
    ]


async def test_movement_is_shown_by_its_key_with_stamps_and_postings(books: Books, usher: Said) -> None:
    status, out, _ = await usher("ledger", "show", "txn", "sale:1")
    lines = [line.split() for line in out.splitlines()]
    assert status == 0
    for line in (["kind", "sale"], ["seller", "slr_1"], ["fee", "bp", "1000"], ["wallet:usr_1", "-4.99", "USD"]):
        assert line in lines, out
    _, out, _ = await usher("ledger", "show", "txn", "sale:1", "--json")
    shown = msgspec.json.decode(out)
    assert [posting["amount"] for posting in shown["postings"]] == [-499, 49, 450]


async def test_account_is_shown_asset_by_asset_and_page_by_page(books: Books, usher: Said) -> None:
    status, out, _ = await usher("ledger", "show", "account", "wallet:usr_1", "--count", "1")
    assert status == 0
    assert "wallet:usr_1: 7 BONUS" in out and "wallet:usr_1: 995.01 USD, 2.50 USD of it held" in out
    more = next(line for line in out.splitlines() if line.startswith("… and more: --asset USD"))
    _, out, _ = await usher("ledger", "show", "account", "wallet:usr_1", *more.split()[3:])
    assert "1000.00 USD" in out and "-4.99" not in out and "more" not in out


async def test_large_amounts_are_text_in_json(books: Books, usher: Said) -> None:
    await books.fund(10**30, "wallet__usr_2")
    _, out, _ = await usher("ledger", "show", "account", "wallet:usr_2", "--json")
    assert msgspec.json.decode(out)["balances"][0]["balance"] == str(10**30)


async def test_what_is_not_in_the_books_gets_words(books: Books, usher: Said) -> None:
    for arguments, words in (
        (("txn", "sale:2"), "There is no movement with the id or key sale:2."),
        (("account", "wallet:usr_9"), "Nothing was ever booked on an account wallet:usr_9."),
        (("account", "wallet:usr_1", "--asset", "EUR"), "Nothing was ever booked on wallet:usr_1 in EUR."),
    ):
        status, _, err = await usher("ledger", "show", *arguments)
        assert (status, err.strip()) == (1, words)


async def test_database_without_a_ledger_gets_words(
    postgres_cluster: Cluster, usher: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database(postgres_cluster, migrated=False) as url:
        monkeypatch.setenv("USHER_DATABASE_URL", url)
        status, _, err = await usher("ledger", "audit")
    assert (status, err.strip()) == (1, "This database has no ledger yet: run `usher migrate`.")


async def test_database_that_is_down_gets_words(usher: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("USHER_DATABASE_URL", "postgresql://usher:usher@127.0.0.1:1/usher")
    status, _, err = await usher("ledger", "audit")
    assert status == 1 and "The database does not answer" in err
