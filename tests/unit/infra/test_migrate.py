"""Migrations as a pure list: names, gaps, history."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.migrate import Migration, pending, read
from shared.errors import Misconfigured

ONE, TWO = Migration(1, "0001_one", "select 1"), Migration(2, "0002_two", "select 2")


def test_migrations_come_in_order_when_read(tmp_path: Path) -> None:
    (tmp_path / "0002_two.sql").write_text("select 2")
    (tmp_path / "0001_one.sql").write_text("select 1")
    assert read(tmp_path) == [ONE, TWO]


@pytest.mark.parametrize("name", ["1_short.sql", "0001-dash.sql", "0001_Capital.sql"])
def test_wrong_name_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("select 1")
    with pytest.raises(Misconfigured, match=r"0001_words\.sql"):
        read(tmp_path)


@pytest.mark.parametrize("names", [("0002_two.sql",), ("0001_one.sql", "0003_three.sql"), ("0001_a.sql", "0001_b.sql")])
def test_gap_or_double_number_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).write_text("select 1")
    with pytest.raises(Misconfigured, match="1, 2, 3"):
        read(tmp_path)


def test_only_what_is_new_is_pending() -> None:
    assert pending([ONE, TWO], {}) == [ONE, TWO]
    assert pending([ONE, TWO], {1: ONE.sha256}) == [TWO]
    assert pending([ONE, TWO], {1: ONE.sha256, 2: TWO.sha256}) == []


def test_edited_history_is_refused() -> None:
    with pytest.raises(Misconfigured, match="0001_one was edited"):
        pending([ONE, TWO], {1: "another"})


def test_database_ahead_of_the_code_is_refused() -> None:
    with pytest.raises(Misconfigured, match="0002"):
        pending([ONE], {1: ONE.sha256, 2: TWO.sha256})


def test_our_own_migrations_are_well_named() -> None:
    assert read()
