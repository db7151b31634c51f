"""What the money bench makes of its turns, and the sales it makes."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks import cases
from benchmarks.money import bench, checkout, post, rights
from benchmarks.money.post import OURS, THEIRS, Turn
from benchmarks.report import Row
from gateway.control.ledger.model import check


def test_rows_hold_movements_a_second_and_the_slowest_against_their_bars() -> None:
    slow = [0.01] * 98 + [0.2, 0.3]
    turns = {OURS: [Turn(0.1, slow), Turn(0.2, slow), Turn(0.5, slow)], THEIRS: [Turn(0.4, slow)] * 3}
    rows = {row.case.partition(" ")[0]: row for row in post._rows(turns)[:2]}
    assert (rows["post()"].ours, rows["post()"].theirs, rows["post()"].word) == (500, 250, "below the bar")
    assert rows["the"].value == 2
    told = {row.case: (row.value, row.word) for row in post._rows(turns)}
    assert told["post(), p50"] == (10, "") and told["post(), p99"] == (300, "below the bar")


def test_every_sale_adds_up_and_is_another() -> None:
    chance = random.Random(7)
    sales = [check(post._sale(str(n), chance)) for n in range(100)]
    assert len({sale.key for sale in sales}) == 100 and len({sale.legs for sale in sales}) > 90
    assert {sale.legs[0].amount for sale in sales} == {-post.PRICE}


def test_rights_and_checkout_are_held_against_their_bars() -> None:
    kept, asked = [0.0005] * 94 + [0.002] * 6, [0.001] * 96 + [0.01] * 4
    told = {row.case: (row.value, row.theirs, row.word) for row in rights._rows(kept, asked, viewers=1000)}
    assert told["entitlement from the cache against Postgres, p95"] == (2, 1, "below the bar")
    assert told["entitlement from Postgres among 10,000 purchases of 1,000 viewers, p95"] == (1, None, "held")
    assert told["entitlement from the cache against Postgres, p50"] == (0.5, 1, "")
    assert [rights._indexed(found, bar=0).word for found in ({}, {"offers.OF_SCOPE": {"offer"}})] == [
        "held",
        "below the bar",
    ]
    clicks = {row.case: (row.value, row.word) for row in checkout._rows([0.02] * 90 + [0.06] * 10, [0.3])}
    assert clicks["checkout by wallet, one buyer after the other, p95"] == (60, "below the bar")
    assert clicks["checkout by wallet, 4 buyers at once, p95"] == (300, "")


async def test_case_that_breaks_leaves_a_void_row_and_its_words() -> None:
    class Stage:
        def __init__(self) -> None:
            self.said: list[str] = []

        def say(self, words: str) -> None:
            self.said.append(words)

    async def broken(stage: Stage) -> list[Row]:
        raise RuntimeError("no disk")

    stage = Stage()
    (row,) = await cases.one("audit", broken, stage)
    assert (row.case, row.word) == ("audit: broke", "void") and "no disk" in stage.said[0]


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (bench.Options(), "usher bench money"),
        (bench.Options(quick=True, only=("audit",)), "usher bench money --quick --only audit"),
        (bench.Options(rounds=2, seconds=3, page=Path("x")), "usher bench money --rounds 2 --seconds 3"),
    ],
)
def test_page_names_the_line_that_runs_the_same_again(options: bench.Options, line: str) -> None:
    assert bench.command(options) == line
